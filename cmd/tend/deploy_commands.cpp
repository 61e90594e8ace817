// deploy, and what keeps an app's checkout up to date: pull, forward, backward.
#include <sys/stat.h>

#include "cmd/pm2/personality.h"
#include "cmd/tend/child_linux.h"
#include "cmd/tend/command.h"
#include "cmd/tend/deploy_plan.h"
#include "cmd/tend/outcomes.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "core/model/options.h"

namespace tend::cli {
namespace {

constexpr std::string_view kDefaultFiles[] = {
    "ecosystem.json",       "ecosystem.yml",        "ecosystem.yaml",  "ecosystem.config.js",
    "ecosystem.config.cjs", "ecosystem.config.mjs", "ecosystem.json5", "package.json"};

constexpr std::string_view kDeployHelp =
    " deploy [file] <environment> [command]\n\n"
    "  setup               make the folders on each host and clone the repository\n"
    "  update              deploy the latest release (also without a command)\n"
    "  revert [n]          go back to the n-th deployment before (1)\n"
    "  current             the commit that is deployed\n"
    "  previous            the commit before it\n"
    "  exec <command>      run a command in the folder of the deployment [run]\n"
    "  list                all deployments\n"
    "  ref <ref>           deploy this ref\n\n"
    "The hosts come one after the other; --force skips the look at your own checkout.\n";

bool is_file(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode);
}

std::string default_file() {
  for (const auto name : kDefaultFiles)
    if (is_file(std::string(name))) return std::string(name);
  return "";
}

int refuse(Session& s, const std::string& text) {
  s.complain(text);
  return kFailed;
}

// What is not committed or not pushed would not be deployed. Without git or an upstream there is nothing to
// compare.
bool checkout_is_published(Session& s) {
  const auto status = capture_child({{"git", "status", "--porcelain", "--untracked-files=no"}, "", "", {}});
  if (!status || status->status != 0) return true;
  if (!trim(status->out).empty()) {
    s.complain("commit or stash your changes before deploying");
    return false;
  }
  const auto ahead =
      capture_child({{"git", "rev-list", "--count", "@{upstream}..HEAD"}, "", "", {"GIT_TERMINAL_PROMPT=0"}});
  if (ahead && ahead->status == 0 && trim(ahead->out) != "0") {
    s.complain("push your changes before deploying");
    return false;
  }
  return true;
}

Result<DeployTask> task_of(const std::vector<std::string>& words) {
  const std::string verb = words.empty() ? "update" : words[0];
  const std::string argument = words.size() > 1 ? words[1] : "";
  if (verb == "update") return DeployTask{"deploy", ""};
  if (verb == "ref") {
    if (argument.empty()) return fail("ref: missing; accepted: a commit, branch or tag");
    return DeployTask{"deploy", argument};
  }
  if (verb == "curr" || verb == "current") return DeployTask{"current", ""};
  if (verb == "prev" || verb == "previous") return DeployTask{"previous", ""};
  if (verb == "exec" || verb == "run") {
    std::string command;
    for (std::size_t i = 1; i < words.size(); ++i) command += (i > 1 ? " " : "") + words[i];
    return DeployTask{"exec", command};
  }
  return DeployTask{verb, argument};
}

bool deploy_to(Session& s, const DeployTarget& target, const DeployTask& task) {
  s.say("--> on host " + printable(target.host) + "\n");
  const auto steps = deploy_steps(target, task, is_file);
  if (!steps) {
    s.complain(steps.error().message);
    return false;
  }
  for (const DeployStep& step : *steps) {
    if (!step.title.empty()) s.say("  ○ " + printable(step.title) + "\n");
    s.flush();  // what the step prints comes after
    if (step.argv.empty()) continue;
    const auto status = run_child({step.argv, "", step.input_file, {}});
    if (!status) {
      s.complain(status.error().message);
      return false;
    }
    if (*status == 0) continue;
    s.complain_raw("\n  Deploy failed\n\n");
    s.complain((step.title.empty() ? task.verb : step.title) + ": exit status " + std::to_string(*status) +
               (*status == 127
                    ? "; a shell without login has a short PATH: set it by env in the deploy section"
                    : ""));
    return false;
  }
  return true;
}

int deploy(Session& s) {
  const std::string program = s.pm2 ? "pm2" : "tend";
  std::vector<std::string> words = s.args.words;
  std::string file;
  if (!words.empty() && config::is_config_file(words[0], s.pm2)) {
    file = words[0];
    words.erase(words.begin());
  }
  if (words.empty() || words[0] == "help") {
    s.print("usage: " + program + std::string(kDeployHelp));
    return kDone;
  }
  if (file.empty()) file = default_file();
  if (file.empty()) {
    std::string names;
    for (const auto name : kDefaultFiles) names += (names.empty() ? "" : ", ") + std::string(name);
    return refuse(s,
                  "Not any default deployment file exists. Allowed default config file names are: " + names);
  }
  const auto document = config::parse_file(file, s.context());
  if (!document) return s.fail(document.error());
  const Value& section = document->at("deploy").at(words[0]);
  if (section.is_null())
    return refuse(s, printable(words[0]) + " environment is not defined in " + printable(file) + " file");
  const auto targets = deploy_targets(
      section, words[0], program + " startOrRestart " + shell_word(file) + " --env " + shell_word(words[0]));
  const auto task = task_of({words.begin() + 1, words.end()});
  for (const Error* e : {targets ? nullptr : &targets.error(), task ? nullptr : &task.error()})
    if (e != nullptr) return refuse(s, printable(file) + ": " + e->message);
  if (task->verb == "deploy" && !s.args.force && !checkout_is_published(s)) return kFailed;
  s.say("--> Deploying to " + printable(words[0]) + " environment\n");
  for (const DeployTarget& target : *targets)
    if (!deploy_to(s, target, *task)) return kFailed;
  s.say("--> Success\n");
  return kDone;
}

// ---- pull, forward, backward
// -------------------------------------------------------------------------------------

constexpr int64_t kMostCommits = 1000;  // that `forward` looks through for the one after this

std::string git_line(const std::string& cwd, std::vector<std::string> words) {
  words.insert(words.begin(), "git");
  const auto got = capture_child({std::move(words), cwd, "", {"GIT_TERMINAL_PROMPT=0"}});
  return got && got->status == 0 ? std::string(trim(got->out)) : "";
}

// Where the checkout goes: "" when there is nothing to go to.
std::string destination(std::string_view verb, const std::string& cwd, const std::string& commit) {
  if (verb == "backward") return git_line(cwd, {"rev-parse", "--verify", "--quiet", "HEAD~1"});
  const std::string upstream = git_line(cwd, {"rev-parse", "--verify", "--quiet", "@{upstream}"});
  if (verb == "pull")
    return commit.empty() ? upstream
                          : git_line(cwd, {"rev-parse", "--verify", "--quiet", "--end-of-options",
                                           commit + "^{commit}"});
  const auto after = split(git_line(cwd, {"rev-list", "--reverse", "--ancestry-path", "-n",
                                          std::to_string(kMostCommits), "HEAD..@{upstream}"}),
                           '\n');
  return after.empty() ? "" : after[0];
}

int move_checkout(Session& s, std::string_view verb) {
  const std::string& name = s.args.words[0];
  auto rows = s.ask(api::kList, Map{{"detail", "full"}, {"cwd", s.caller.cwd}, {"targets", List{name}}},
                    Need::existing);
  if (!rows && !Session::no_daemon(rows.error())) return s.fail(rows.error());
  if (!rows || rows->at("apps").list().empty())
    return refuse(s, "No processes with this name or id : " + printable(name));
  const auto spec = spec_from_value(rows->at("apps").list()[0].at("spec"));
  if (!spec) return s.fail(spec.error());
  const std::string shown = printable(spec->name);
  const auto say = [&](const std::string& text) {
    s.say(s.pm2 ? pm2::plain(text, s.colour()) : text + "\n");
  };
  const std::string before = git_line(spec->cwd, {"rev-parse", "HEAD"});
  if (before.empty()) {
    say("No versioning system found for process " + shown);
    return kDone;
  }
  say((verb == "backward" ? "Downgrading to previous commit repository for process name "
                          : "Updating repository for process name ") +
      shown);
  s.flush();
  if (verb != "backward") {
    const auto fetched = run_child({{"git", "fetch", "--quiet"}, spec->cwd, "", {"GIT_TERMINAL_PROMPT=0"}});
    if (!fetched || *fetched != 0) return refuse(s, "git fetch failed in " + printable(spec->cwd));
  }
  const std::string commit = verb == "pull" && s.args.words.size() > 1 ? s.args.words[1] : "";
  const std::string to = destination(verb, spec->cwd, commit);
  if (to.empty() || to == before) {
    say("Already up-to-date or an error occured for app: " + shown);
    return kDone;
  }
  const auto reset = run_child({{"git", "reset", "--hard", "--quiet", to}, spec->cwd, "", {}});
  if (!reset || *reset != 0) return refuse(s, "git reset --hard failed in " + printable(spec->cwd));
  const List one{spec->post_update};
  for (const Value& hook : spec->post_update.is<List>() ? spec->post_update.list() : one) {
    const std::string& command = hook.text();
    if (command.empty()) continue;
    const auto status = run_child({{"sh", "-c", command}, spec->cwd, "", {}});
    if (!status || *status != 0)
      return refuse(s, "post_update: " + printable(command) + " failed; " + shown + " goes on as it is");
  }
  say("Process successfully updated " + shown);
  say("Current commit " + to);
  const List targets{name};
  auto reply =
      s.ask(api::kAct,
            Map{{"verb", "reload"}, {"targets", targets}, {"cwd", s.caller.cwd}, {"cause", s.caller.cause()}},
            Need::existing, patience_for(s, targets, true));
  if (!reply) return s.fail(reply.error());
  return show_groups(s, "reload", *reply) ? kDone : kFailed;
}

int pull(Session& s) { return move_checkout(s, "pull"); }
int forward(Session& s) { return move_checkout(s, "forward"); }
int backward(Session& s) { return move_checkout(s, "backward"); }

constexpr Command kCommands[] = {
    {"deploy", "", "Deploying", "[file] <environment> [command]",
     "Bring a repository to other machines over ssh.", deploy},
    {"pull", "", "Deploying", "<app> [commit]", "Bring the app's git checkout up to date, then reload it.",
     pull, 1},
    {"forward", "", "Deploying", "<app>", "To the next commit of its upstream, then reload it.", forward, 1},
    {"backward", "", "Deploying", "<app>", "To the commit before, then reload it.", backward, 1},
};

}  // namespace

std::span<const Command> deploy_commands() { return kCommands; }

}  // namespace tend::cli
