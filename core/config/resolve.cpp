#include <algorithm>

#include "core/base/text.h"
#include "core/config/files.h"
#include "core/config/package_script.h"
#include "core/config/parts.h"
#include "core/config/static_server.h"
#include "core/model/address.h"
#include "core/model/cron_pattern.h"
#include "core/model/options.h"
#include "core/model/probe_target.h"

namespace tend::config {
namespace {

constexpr std::size_t kLongestName = 256;
constexpr std::string_view kIsoDate = "YYYY-MM-DDTHH:mm:ss";

tl::unexpected<Problem> refuse(std::string message, std::string pm2_text) {
  return tl::unexpected<Problem>(Problem{true, std::move(message), std::move(pm2_text)});
}

// Cut where no character is split.
void shorten(std::string& name) {
  if (name.size() <= kLongestName) return;
  std::size_t n = kLongestName;
  while (n > 0 && (static_cast<unsigned char>(name[n]) & 0xc0) == 0x80) --n;
  name.resize(n);
}

// A line for the shell: PM2 shows bash itself as the script.
tl::expected<void, Problem> shell_line(AppSpec& spec, const Context& context) {
  const std::string path = app_path(spec, context);
  std::string shell = find_program("bash", path, spec.cwd);
  if (shell.empty()) shell = find_program("sh", path, spec.cwd);
  if (shell.empty())
    return refuse("script: neither bash nor sh is in PATH", "Error: bash not available in PATH");
  StringList args = {"-c", spec.script};
  if (!context.pm2 && !spec.args.empty()) {  // PM2 loses them
    args[1] += " \"$@\"";
    args.emplace_back(base_name(shell));
    args.insert(args.end(), spec.args.begin(), spec.args.end());
  }
  spec.args = std::move(args);
  spec.script = std::move(shell);
  spec.interpreter = "none";
  mark_resolved(spec, "args");
  return {};
}

tl::expected<void, Problem> find_script(AppSpec& spec, const Context& context) {
  std::string file = absolute_path(spec.script, spec.cwd, context.user_home);
  if (!exists(file)) {
    if (spec.script.find_first_of(" \t\n") != std::string::npos) return shell_line(spec, context);
    const std::string program = find_program(spec.script, app_path(spec, context), spec.cwd);
    if (program.empty()) {
      return refuse("script: found " + printable(file) + ", which is no file nor a program in PATH",
                    "Error: Script not found: " + printable(file));
    }
    file = program;
  }
  spec.script = std::move(file);
  auto interpreter = choose_interpreter(spec, context);
  if (!interpreter) return tl::unexpected(std::move(interpreter.error()));
  spec.interpreter = std::move(*interpreter);
  return {};
}

bool runs_workers(std::string_view interpreter) {
  const std::string_view name = base_name(interpreter);
  return name.ends_with("node") || name.ends_with("bun");
}

// compat.md 3.6 to 3.8; merge_logs looks at what was declared, so it is decided before counts and mode are.
void resolve_mode(AppSpec& spec, const Context& context) {
  const bool counted = is_given(spec, "instances");
  const int64_t asked = spec.instances;
  const bool declared = is_given(spec, "exec_mode") && !spec.exec_mode.empty();
  if (spec.execute_command) {
    spec.exec_mode = "fork";
  } else if (!declared) {
    spec.exec_mode = counted && asked >= -1 && runs_workers(spec.interpreter) ? "cluster" : "fork";
  }
  if (!(declared && spec.exec_mode == "cluster") && (!counted || asked == 0)) {
    spec.merge_logs = true;
    mark_resolved(spec, "merge_logs");
  }
  if (asked <= 0) spec.instances = std::max<int64_t>(1, context.cpus + asked);
  mark_resolved(spec, "exec_mode");
  mark_resolved(spec, "instances");
}

// In cluster mode what npm would run is run itself: the runner is no server. In fork mode it stays, as in
// PM2.
tl::expected<void, Problem> unwrap(AppSpec& spec, const Context& context) {
  const bool named_fork = is_given(spec, "exec_mode") && spec.exec_mode == "fork";
  const bool clustered = !named_fork && ((is_given(spec, "instances") && spec.instances != 1) ||
                                         (is_given(spec, "exec_mode") && spec.exec_mode == "cluster"));
  const bool other_interpreter =
      !spec.interpreter.empty() && spec.interpreter != "none" && spec.interpreter != "node";
  if (other_interpreter || !clustered) return {};
  std::string entry;
  if (unwrap_package_script(spec, context, entry) != Unwrapped::too_much || context.pm2) return {};
  return refuse(
      "script: found " + printable(spec.script) + ", which runs \"" + printable(entry) +
          "\"; accepted in cluster mode: a package script of one plain command, or that program itself",
      "");
}

tl::expected<void, Problem> check_sockets(const AppSpec& spec, const Context& context) {
  for (const std::string& word : spec.listen) {
    if (auto address = parse_listen(word); !address) return refuse("listen: " + address.error().message, "");
  }
  // They know the words of Node's cluster, and none of the descriptors (protocols.md 1.7).
  const std::string_view runtime = base_name(spec.interpreter);
  const bool other = runtime == "bun" || runtime == "deno";
  if (other && spec.exec_mode == "cluster" && spec.listen.empty() && !context.pm2) {
    return refuse(
        "exec_mode: found cluster with " + std::string(runtime) +
            "; accepted with it: fork, for programs that share their port by themselves (SO_REUSEPORT), or "
            "sockets by the field listen",
        "");
  }
  if (spec.spare > 0 && spec.exec_mode != "cluster")
    return refuse("spare: found " + std::to_string(spec.spare) + " in mode " + spec.exec_mode +
                      "; accepted there: 0, as only a clustered Node program waits to be given its sockets",
                  "");
  return {};
}

tl::expected<void, Problem> check_probe(const AppSpec& spec) {
  if (spec.probe.empty()) return {};
  if (auto target = parse_probe(spec.probe); !target) return refuse(target.error().message, "");
  if (auto status = parse_probe_status(spec.probe_status); !status) return refuse(status.error().message, "");
  return {};
}

// The daemon reads it later, when nobody is there to be told.
tl::expected<void, Problem> check_zone(const AppSpec& spec) {
  std::string zone = spec.cron_timezone;
  if (!spec.cron_restart.empty()) {
    if (const auto pattern = parse_cron(spec.cron_restart); pattern && !pattern->zone.empty())
      zone = pattern->zone;
  }
  if (zone.empty() || exists("/usr/share/zoneinfo/" + zone)) return {};
  return refuse("cron_timezone: found " + printable(zone) +
                    "; accepted: a name of a file in /usr/share/zoneinfo, as Europe/Berlin",
                "Error: Unknown time zone " + printable(zone));
}

// Python writes to a pipe only when its buffer is full, which hides its logs.
void unbuffer_python(AppSpec& spec) {
  if (spec.interpreter.find("python") == std::string::npos) return;
  const bool set = std::any_of(spec.env.begin(), spec.env.end(),
                               [](const auto& e) { return e.first == "PYTHONUNBUFFERED"; });
  if (set) return;
  spec.env.emplace_back("PYTHONUNBUFFERED", "1");
  Map origins = spec.origins.map();
  origins.set("PYTHONUNBUFFERED", "tend");
  spec.origins = std::move(origins);
  mark_resolved(spec, "env");
}

// $NAME and ${NAME} of the caller's environment. Error: the variable that is not there.
tl::expected<std::string, std::string> with_variables(std::string_view text, const Context& context) {
  std::string out;
  while (!text.empty()) {
    const auto dollar = text.find('$');
    out += text.substr(0, dollar);
    if (dollar == std::string_view::npos) break;
    text.remove_prefix(dollar + 1);
    const bool braces = text.starts_with('{');
    if (braces) text.remove_prefix(1);
    const auto letter = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    const auto length =
        static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), letter) - text.begin());
    const std::string_view name = text.substr(0, length);
    if (name.empty() || (braces && !text.substr(length).starts_with('}'))) {  // no variable
      out += braces ? "${" : "$";
      continue;
    }
    const std::string* value = context.variable(name);
    if (value == nullptr) return tl::unexpected<std::string>(std::string(name));
    out += *value;
    text.remove_prefix(length + (braces ? 1 : 0));
  }
  return out;
}

// In the paths of a file, under tend: PM2 takes them as they are. A line for the shell is the shell's.
tl::expected<void, Problem> expand_paths(AppSpec& spec, const Context& context) {
  const std::pair<std::string_view, std::string AppSpec::*> paths[] = {{"cwd", &AppSpec::cwd},
                                                                       {"script", &AppSpec::script},
                                                                       {"interpreter", &AppSpec::interpreter},
                                                                       {"out_file", &AppSpec::out_file},
                                                                       {"error_file", &AppSpec::error_file},
                                                                       {"log_file", &AppSpec::log_file},
                                                                       {"pid_file", &AppSpec::pid_file},
                                                                       {"env_file", &AppSpec::env_file}};
  for (const auto& [key, member] : paths) {
    std::string& path = spec.*member;
    if (path.find('$') == std::string::npos || exists(absolute_path(path, context.cwd, context.user_home)))
      continue;
    if (member == &AppSpec::script && path.find_first_of(" \t\n") != std::string::npos) continue;
    auto expanded = with_variables(path, context);
    if (!expanded) {
      return refuse(std::string(key) + ": found " + printable(path) + ", and the caller has no variable " +
                        printable(expanded.error()),
                    "");
    }
    path = std::move(*expanded);
  }
  return {};
}

}  // namespace

void mark_resolved(AppSpec& spec, std::string_view key) {
  const std::size_t i = index_of(*find_option(key));
  if (!spec.given[i]) spec.resolved.set(i);
}

bool is_given(const AppSpec& spec, std::string_view key) { return spec.given[index_of(*find_option(key))]; }

tl::expected<void, Problem> resolve(AppSpec& spec, const Context& context) {
  if (spec.script.empty()) return refuse("script: not given", "Error: No script path - aborting");
  if (!context.pm2) {
    if (auto expanded = expand_paths(spec, context); !expanded) return expanded;
  }
  spec.cwd = spec.cwd.empty() ? context.cwd : absolute_path(spec.cwd, context.cwd, context.user_home);
  if (!context.pm2 && !is_directory(spec.cwd)) {
    return refuse("cwd: found " + printable(spec.cwd) + ", which is no directory", "");
  }
  if (spec.name.empty()) spec.name = default_name(spec.script);
  if (spec.append_env_to_name && !context.env_name.empty()) spec.name += '-' + context.env_name;
  shorten(spec.name);
  if (spec.script == kStaticServer) {
    if (auto server = become_static_server(spec, context); !server) return server;
  }
  if (auto unwrapped = unwrap(spec, context); !unwrapped) return unwrapped;
  if (auto found = find_script(spec, context); !found) return found;
  unbuffer_python(spec);
  resolve_mode(spec, context);
  if (auto sound = check_sockets(spec, context); !sound) return sound;
  if (auto sound = check_probe(spec); !sound) return sound;
  if (auto sound = check_zone(spec); !sound) return sound;
  resolve_paths(spec, context);
  if (spec.time && (context.pm2 || spec.log_date_format.empty())) {
    spec.log_date_format = kIsoDate;
    mark_resolved(spec, "log_date_format");
  }
  if (!spec.automation) {
    spec.pmx = false;
    mark_resolved(spec, "pmx");
  }
  if (context.pm2 &&
      !is_given(spec, "ready_timeout")) {  // an app that is never ready counts as online in PM2
    spec.ready_timeout = "online";
    mark_resolved(spec, "ready_timeout");
  }
  if (context.pm2 && !is_given(spec, "heartbeat")) {  // PM2 ends no process for being busy
    spec.heartbeat = "off";
    mark_resolved(spec, "heartbeat");
  }
  for (const std::string_view key : {"name", "script", "cwd", "interpreter"}) mark_resolved(spec, key);
  return {};
}

}  // namespace tend::config
