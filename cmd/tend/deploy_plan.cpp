#include "cmd/tend/deploy_plan.h"

#include "core/base/text.h"

namespace tend::cli {
namespace {

// A number or text as text; objects and lists have none.
std::string text_of(const Value& v) {
  if (v.is<std::string>()) return v.text();
  return v.is<int64_t>() ? std::to_string(v.integer()) : std::string();
}

// A word that ssh or git would take for an option is refused: it comes from a file that somebody else may
// write.
Status plain_word(std::string_view key, const std::string& text) {
  if (text.empty() || text[0] != '-') return {};
  return fail(std::string(key) + ": found \"" + printable(text) + "\"; accepted: what does not begin with -");
}

Result<DeployTarget> target_of(const Value& section, const Value& host, std::string_view environment,
                               const std::string& default_post_deploy) {
  const Value own = host.is<Map>() ? host : Value(Map{{"host", host}});
  const auto find = [&](std::string_view key) -> const Value& {
    const Value& v = own.at(key);
    return v.is_null() ? section.at(key) : v;
  };
  DeployTarget t;
  const std::pair<std::string_view, std::string DeployTarget::*> texts[] = {
      {"host", &DeployTarget::host},
      {"user", &DeployTarget::user},
      {"port", &DeployTarget::port},
      {"key", &DeployTarget::key},
      {"path", &DeployTarget::path},
      {"repo", &DeployTarget::repo},
      {"ref", &DeployTarget::ref},
      {"pre-setup", &DeployTarget::pre_setup},
      {"post-setup", &DeployTarget::post_setup},
      {"pre-deploy-local", &DeployTarget::pre_deploy_local},
      {"pre-deploy", &DeployTarget::pre_deploy},
      {"post-deploy", &DeployTarget::post_deploy},
  };
  for (const auto& [key, slot] : texts) t.*slot = text_of(find(key));
  const std::string place = "deploy." + std::string(environment) + ".";
  for (const std::string_view key : {"host", "path", "ref"}) {
    if (text_of(find(key)).empty()) return fail(place + std::string(key) + ": missing");
  }
  for (const std::string_view key : {"host", "user", "port", "key", "path", "repo", "ref"}) {
    if (auto ok = plain_word(place + std::string(key), text_of(find(key))); !ok)
      return tl::unexpected(ok.error());
  }
  for (const std::string_view key : {"ssh_options", "ssh_option"}) {
    const Value& options = find(key);
    if (options.is<std::string>()) t.ssh_options.push_back(options.text());
    for (const Value& o : options.list()) t.ssh_options.push_back(text_of(o));
  }
  t.forward_agent = find("forward-agent").boolean();
  t.needs_tty = find("needs_tty").boolean();
  t.shallow = find("fetch").text() == "fast";
  for (const auto& [name, value] : find("env").map()) {
    const std::string text = value.is<bool>() ? (value.boolean() ? "true" : "false") : text_of(value);
    t.env.emplace_back(name, text);
  }
  if (t.post_deploy.empty()) t.post_deploy = default_post_deploy;
  return t;
}

std::vector<std::string> reach(const DeployTarget& t, const std::string& script) {
  if (t.host == "localhost" && t.port.empty()) return {"bash", "-c", script};
  std::vector<std::string> argv{"ssh"};
  for (const auto& option : t.ssh_options) argv.insert(argv.end(), {"-o", option});
  if (!t.port.empty()) argv.insert(argv.end(), {"-p", t.port});
  if (!t.key.empty()) argv.insert(argv.end(), {"-i", t.key});
  if (t.forward_agent) argv.emplace_back("-A");
  if (t.needs_tty) argv.emplace_back("-tt");
  argv.emplace_back("--");
  argv.push_back((t.user.empty() ? "" : t.user + "@") + t.host);
  argv.push_back(script);
  return argv;
}

// "origin/main" -> "main": what clone takes.
std::string branch_of(const std::string& ref) {
  constexpr std::string_view kRemote = "origin/";
  return ref.starts_with(kRemote) ? ref.substr(kRemote.size()) : ref;
}

std::string exports(const DeployTarget& t) {
  std::string out;
  for (const auto& [name, value] : t.env) out += "export " + name + "=" + shell_word(value) + "; ";
  return out;
}

class Plan {
 public:
  explicit Plan(const DeployTarget& t) : t_(t), path_(shell_word(t.path)) {}

  void remote(std::string title, const std::string& script, std::string input_file = "") {
    steps_.push_back({std::move(title), reach(t_, "set -e; " + script), std::move(input_file)});
  }
  void local(std::string title, const std::string& script) {
    steps_.push_back({std::move(title), {"bash", "-c", script}, ""});
  }
  void say(std::string title) { steps_.push_back({std::move(title), {}, ""}); }
  void in_current(std::string title, const std::string& script) {
    remote(std::move(title),
           "cd " + path_ + "/current; export SHARED=" + path_ + "/shared; " + exports(t_) + script);
  }

  void setup(bool (*is_file)(const std::string&)) {
    if (!t_.pre_setup.empty()) {
      if (is_file(t_.pre_setup))
        remote("executing pre-setup script " + t_.pre_setup, "bash -s", t_.pre_setup);
      else
        remote("executing pre-setup", t_.pre_setup);
    }
    remote("running setup",
           "mkdir -p " + path_ + "/shared/logs " + path_ + "/shared/pids " + path_ + "/source");
    // Without depth the remote's default branch is enough: the ref is reset to at each deployment.
    const std::string depth =
        t_.shallow ? "--depth 5 --branch " + shell_word(branch_of(t_.ref)) + " " : std::string();
    remote("cloning " + t_.repo,
           "git clone " + depth + "-- " + shell_word(t_.repo) + " " + path_ + "/source");
    remote("symlinking current", "ln -sfn " + path_ + "/source " + path_ + "/current");
    if (!t_.post_setup.empty()) in_current("executing post-setup", t_.post_setup);
    say("setup complete");
  }

  void deploy(const std::string& ref) {
    if (!t_.pre_deploy_local.empty()) local("executing pre-deploy-local", t_.pre_deploy_local);
    if (!t_.pre_deploy.empty()) in_current("executing pre-deploy", t_.pre_deploy);
    const std::string depth = t_.shallow ? "--depth 5 " : "";
    remote("fetching updates", "cd " + path_ + "/source; git fetch " + depth + "--all --tags");
    remote("resetting HEAD to " + ref, "cd " + path_ + "/source; git reset --hard " + shell_word(ref));
    remote("", "ln -sfn " + path_ + "/source " + path_ + "/current; cd " + path_ +
                   "/source; git rev-parse --short HEAD >>" + path_ + "/.deploys");
    if (!t_.post_deploy.empty()) in_current("executing post-deploy", t_.post_deploy);
    say("successfully deployed " + ref);
  }

  // The n-th deployment before the last one, by the list that deploy() writes.
  std::string earlier(const std::string& n) const {
    return "tail -n " + std::to_string(std::stoll(n) + 1) + " " + path_ + "/.deploys | head -n 1";
  }
  void revert(const std::string& n) {
    const std::string lines = "[ \"$(wc -l <" + path_ + "/.deploys)\" -gt " + n + " ]";
    remote("reverting " + n + " deployment(s)",
           lines + " || { echo 'there are not that many deployments' >&2; exit 1; }; commit=$(" + earlier(n) +
               "); cd " + path_ + "/source; git reset --hard \"$commit\"; echo \"$commit\" >>" + path_ +
               "/.deploys");
    if (!t_.post_deploy.empty()) in_current("executing post-deploy", t_.post_deploy);
  }

  std::vector<DeployStep> take() { return std::move(steps_); }

 private:
  const DeployTarget& t_;
  std::string path_;
  std::vector<DeployStep> steps_;
};

}  // namespace

std::string shell_word(std::string_view text) {
  std::string out;
  if (text == "~" || text.starts_with("~/")) {
    out = "\"$HOME\"";
    text.remove_prefix(1);
    if (text.empty()) return out;
  }
  out += '\'';
  for (const char c : text) c == '\'' ? out += "'\\''" : out += c;
  return out + '\'';
}

Result<std::vector<DeployTarget>> deploy_targets(const Value& section, std::string_view environment,
                                                 const std::string& default_post_deploy) {
  if (!section.is<Map>()) return fail("deploy." + std::string(environment) + ": accepted: an object");
  const Value& hosts = section.at("host");
  std::vector<DeployTarget> targets;
  const List one{hosts};
  for (const Value& host : hosts.is<List>() ? hosts.list() : one) {
    auto t = target_of(section, host, environment, default_post_deploy);
    if (!t) return tl::unexpected(t.error());
    for (const auto& [name, value] : t->env) {
      const bool word = !name.empty() && name.find_first_not_of(
                                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
                                             "0123456789") == std::string::npos;
      if (!word || (name[0] >= '0' && name[0] <= '9'))
        return fail("deploy." + std::string(environment) + ".env: found the name \"" + printable(name) +
                    "\"; accepted: letters, digits and _");
    }
    targets.push_back(std::move(*t));
  }
  if (targets.empty()) return fail("deploy." + std::string(environment) + ".host: the list is empty");
  return targets;
}

Result<std::vector<DeployStep>> deploy_steps(const DeployTarget& target, const DeployTask& task,
                                             bool (*is_file)(const std::string&)) {
  Plan plan(target);
  if (task.verb == "setup") {
    if (target.repo.empty()) return fail("repo: missing; setup clones it");
    plan.setup(is_file);
  } else if (task.verb == "deploy") {
    const std::string& ref = task.argument.empty() ? target.ref : task.argument;
    if (ref[0] == '-')
      return fail("ref: found \"" + printable(ref) + "\"; accepted: what does not begin with -");
    plan.deploy(ref);
  } else if (task.verb == "revert") {
    const std::string n = task.argument.empty() ? "1" : task.argument;
    if (!is_digits(n) || n.size() > 4 || n == "0")
      return fail("revert: found \"" + printable(n) + "\"; accepted: 1..9999");
    plan.revert(n);
  } else if (task.verb == "current") {
    plan.remote("", plan.earlier("0"));
  } else if (task.verb == "previous") {
    plan.remote("", plan.earlier("1"));
  } else if (task.verb == "list") {
    plan.remote("", "cat " + shell_word(target.path) + "/.deploys");
  } else if (task.verb == "exec") {
    if (task.argument.empty()) return fail("exec: missing command");
    plan.in_current("executing " + task.argument, task.argument);
  } else {
    return fail("deploy: unknown command " + printable(task.verb) +
                "; accepted: setup, update, revert, current, previous, exec, list, ref");
  }
  return plan.take();
}

}  // namespace tend::cli
