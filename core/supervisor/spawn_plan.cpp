#include "core/supervisor/spawn_plan.h"

#include <unistd.h>

#include <algorithm>

#include "core/base/text.h"

#include "core/config/config.h"
#include "core/model/env.h"
#include "core/preload/node_preload.h"
#include "core/supervisor/heartbeats.h"
#include "core/supervisor/limits.h"
#include "core/supervisor/workers.h"

namespace tend::supervisor {
namespace {

// The preload's lag timer costs the app a wake-up each time it fires.
constexpr int64_t kDriftMillis = 100;

// Names that belong to one process and must not leak from the caller into an app (settled 30).
constexpr std::string_view kPrivate[] = {"NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE",
                                         "NODE_UNIQUE_ID",  "LISTEN_FDS",
                                         "LISTEN_PID",      "LISTEN_FDNAMES",
                                         "NOTIFY_SOCKET",   "WATCHDOG_USEC",
                                         "WATCHDOG_PID",    "TEND_EPOCH",
                                         "TEND_HEARTBEAT",  "TEND_DRAIN",
                                         "TEND_AS_PM2"};

bool wanted(const AppSpec& spec, const std::string& name) {
  return !is_private(name) && passes_filter(spec.filter_env, name);
}

std::string_view base_name(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// execvp's search, but before the fork and over the app's own PATH.
Result<std::string> program_of(const std::string& word, const Env& env, const std::string& cwd) {
  if (word.find('/') != std::string::npos) return word.front() == '/' ? word : cwd + "/" + word;
  const std::string* path = find_variable(env, "PATH");
  std::string found = config::find_program(word, path != nullptr ? *path : "/usr/local/bin:/usr/bin:/bin", cwd);
  if (!found.empty()) return found;
  return fail("interpreter " + printable(word) + ": not found in PATH");
}

// Whether Node shows the places of the original sources in its traces. PM2 does so by itself where there is a
// map beside the script.
bool maps_sources(const AppSpec& spec, bool pm2) {
  if (!speaks_node_channel(spec) || spec.disable_source_map_support) return false;
  return spec.source_map_support || (pm2 && access((spec.script + ".map").c_str(), R_OK) == 0);
}

// LISTEN_FDNAMES: one name for each, without colons.
std::string descriptor_names(const PlanInput& in) {
  std::string name;
  for (const char c : in.spec->name) name += c == ':' || static_cast<unsigned char>(c) < ' ' ? '_' : c;
  std::string names;
  for (std::size_t i = in.stored.size(); i < listen_fds(in); ++i) names += (names.empty() ? "" : ":") + name;
  for (const StoredFd& s : in.stored) names += (names.empty() ? "" : ":") + s.name;
  return names;
}

// "{fd}" is the first socket, "{fd1}" the second …
std::string with_descriptors(std::string arg, std::size_t sockets) {
  for (std::size_t i = sockets; i-- > 0;) {
    for (const std::string& word : {"{fd" + std::to_string(i) + "}", std::string(i == 0 ? "{fd}" : "")}) {
      for (std::size_t at = 0; !word.empty() && (at = arg.find(word, at)) != std::string::npos;)
        arg.replace(at, word.size(), std::to_string(cluster::kFirstFd + i));
    }
  }
  return arg;
}

// One that has no access to the daemon's home.
bool is_another_user(const Identity& who) { return who.uid >= 0 && static_cast<uid_t>(who.uid) != geteuid(); }

// Programs that start the app: they must pass everything on, so they are left alone.
constexpr std::string_view kStarters[] = {"npm",      "npx",        "yarn",      "pnpm",
                                          "corepack", "npm-cli.js", "npx-cli.js"};

bool drains(const AppSpec& spec) { return speaks_node_channel(spec) && reloads_without_gap(spec); }

// The preload is loaded for what it has to do.
bool preloads(const AppSpec& spec, bool pm2) {
  return drains(spec) || answers_by_preload(spec) || (pm2 && speaks_node_channel(spec));
}

// For the preload: how long idle connections are left open, and when what does not end by itself is closed:
// before the stop signal comes.
std::string drain_setting(const AppSpec& spec, bool spare) {
  const int64_t limit = spec.drain_timeout.n;
  return std::to_string(std::min<int64_t>(2000, limit / 2)) + ":" +
         std::to_string(limit - std::min<int64_t>(500, limit / 4)) + (spec.balance == "least" ? ":1" : ":0") +
         (spare ? ":1" : ":0");
}

// What lets Node's servers drain: a file of the daemon's, or, for a user who cannot read that, an argument.
// An app runs without it too, and loses a request now and then when it is replaced.
void add_preload(const PlanInput& in, std::vector<std::string>& argv) {
  if (is_another_user(in.identity)) {
    argv.push_back(preload::preload_argument());
  } else if (preload::write_preload(in.home.preload())) {
    argv.insert(argv.end(), {"-r", in.home.preload()});
  }
}

// For who answers pings: the descriptor; for the preload also the period of its lag timer, how often it
// reports, and whether its inspector may be opened by SIGUSR1.
std::string heartbeat_setting(const AppSpec& spec, std::size_t fd) {
  std::string out = std::to_string(fd);
  if (!answers_by_preload(spec)) return out;
  const bool reports = spec.heartbeat_stats.n > 0;
  const bool inspected = spec.autopsy == "auto" || spec.autopsy == "inspector";
  out += ":" + std::to_string(reports ? kDriftMillis : 0) + ":" + std::to_string(spec.heartbeat_stats.n) +
         (inspected ? ":1" : ":0");
  return out;
}

// PM2 exports its record of the app (compat.md 5); of that what an app can mean something by.
void add_record(Env& env, const PlanInput& in) {
  const AppSpec& spec = *in.spec;
  const auto flag = [](bool on) { return on ? "true" : "false"; };
  set_variable(env, "PM2_USAGE", "CLI");
  set_variable(env, "status", "launching");
  set_variable(env, "instances", std::to_string(spec.instances));
  set_variable(env, "restart_time", std::to_string(in.restarts));
  set_variable(env, "exec_interpreter", spec.interpreter.empty() ? "none" : spec.interpreter);
  set_variable(env, "instance_var", spec.instance_var.empty() ? "NODE_APP_INSTANCE" : spec.instance_var);
  set_variable(env, "autorestart", flag(spec.autorestart));
  set_variable(env, "merge_logs", flag(spec.merge_logs));
  if (!spec.watch.is<List>()) set_variable(env, "watch", flag(spec.watch.boolean()));
}

// `before`: what lies below.
void add_own(Env& env, const PlanInput& in, const std::vector<Layer>& before) {
  const AppSpec& spec = *in.spec;
  const std::string id = std::to_string(in.id);
  set_variable(env, in.home.pm2 ? "PM2_HOME" : "TEND_HOME", in.home.dir);
  set_variable(env, "TEND_ID", id + "." + std::to_string(in.spawn));
  set_variable(env, "pm_id", id);
  set_variable(env, "name", spec.name);
  set_variable(env, "namespace", spec.name_space);
  set_variable(env, "exec_mode", spec.exec_mode + "_mode");
  set_variable(env, "pm_exec_path", spec.script);
  set_variable(env, "pm_cwd", spec.cwd);
  set_variable(env, "pm_out_log_path", config::instance_log_path(spec, spec.out_file, in.id));
  set_variable(env, "pm_err_log_path", config::instance_log_path(spec, spec.error_file, in.id));
  set_variable(env, "pm_pid_path", config::instance_pid_path(spec, in.id));
  set_variable(env, "unique_id", in.unique_id);
  set_variable(env, spec.instance_var.empty() ? "NODE_APP_INSTANCE" : spec.instance_var,
               std::to_string(in.slot));
  if (!spec.increment_var.empty() && in.increment >= 0)
    set_variable(env, spec.increment_var, std::to_string(in.increment));
  if (in.home.pm2) add_record(env, in);
  if (!spec.cwd.empty()) set_variable(env, "PWD", spec.cwd);
  if (!in.identity.home.empty()) set_variable(env, "HOME", in.identity.home);
  const std::size_t descriptors = listen_fds(in);
  if (descriptors > 0) {
    set_variable(env, "LISTEN_FDS", std::to_string(descriptors));
    set_variable(env, "LISTEN_PID", "");  // the child's own, filled in by itself
    set_variable(env, "LISTEN_FDNAMES", descriptor_names(in));
  }
  if (may_keep_watchdog(spec, in.home.pm2)) {
    const int64_t period = spec.heartbeat_interval.n * spec.heartbeat_misses * 1000;
    set_variable(env, "WATCHDOG_USEC", std::to_string(period));
    set_variable(env, "WATCHDOG_PID", "");  // as LISTEN_PID
  }
  if (has_heartbeat_channel(spec)) {
    const std::size_t channel = has_node_channel(spec) ? 1 : 0;
    set_variable(env, "TEND_HEARTBEAT", heartbeat_setting(spec, cluster::kFirstFd + descriptors + channel));
  }
  if (has_node_channel(spec)) {
    set_variable(env, "NODE_CHANNEL_FD", std::to_string(cluster::kFirstFd + descriptors));
    set_variable(env, "NODE_CHANNEL_SERIALIZATION_MODE", "json");
  }
  if (speaks_node_channel(spec)) {
    if (drains(spec)) set_variable(env, "TEND_DRAIN", drain_setting(spec, in.spare));
    // "io": with what @pm2/io does in it.
    if (in.home.pm2) set_variable(env, "TEND_AS_PM2", spec.pmx && spec.automation ? "io" : "bare");
    // Node 22 and newer keep compiled code there: the next start is faster.
    const bool cached = std::any_of(before.begin(), before.end(), [](const Layer& layer) {
      return find_variable(layer.env, "NODE_COMPILE_CACHE") != nullptr;
    });
    if (!is_another_user(in.identity) && !in.home.pm2 && !cached)
      set_variable(env, "NODE_COMPILE_CACHE", in.home.compile_cache(spec.name_space, spec.name));
    if (is_worker(spec) && in.worker > 0) set_variable(env, "NODE_UNIQUE_ID", std::to_string(in.worker));
  }
}

}  // namespace

bool is_private(std::string_view name) {
  return std::find(std::begin(kPrivate), std::end(kPrivate), name) != std::end(kPrivate);
}

PlanInput plan_input(const Home& home, const Instance& app) {
  return {home,         app.id,       app.state.spawn, app.slot,  app.increment,      app.spec,
          app.base_env, app.identity, app.unique_id,   !app.seat, app.state.restarts, app.main.worker};
}

bool plan_reads_files(const AppSpec& spec) {
  const bool searched =
      !spec.interpreter.empty() && spec.interpreter != "none" && spec.interpreter.front() != '/';
  return searched || !spec.env_file.empty() || preloads(spec, true);
}

bool speaks_node_channel(const AppSpec& spec) { return base_name(spec.interpreter) == "node"; }

bool has_node_channel(const AppSpec& spec) {
  constexpr std::string_view kShells[] = {"bash", "sh", "dash", "zsh", "ash", "ksh"};
  constexpr std::string_view kNodeScripts[] = {"ts-node",    "ts-node-esm", "tsx",
                                               "babel-node", "coffee",      "lsc"};
  if (speaks_node_channel(spec) || spec.channel) return true;
  const auto among = [](std::string_view name, const auto& names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  };
  const std::string_view program = base_name(spec.interpreter == "none" ? spec.script : spec.interpreter);
  if (among(program, kNodeScripts)) return true;
  if (!among(program, kShells)) return false;
  if (spec.wait_ready) return true;
  // A line for the shell that is one of Node: "node app.js".
  if (spec.args.size() < 2 || spec.args[0] != "-c") return false;
  const std::string_view line = spec.args[1];
  const std::string_view first = base_name(line.substr(0, line.find(' ')));
  return first == "node" || among(first, kNodeScripts);
}

bool answers_by_preload(const AppSpec& spec) {
  if (!speaks_node_channel(spec) || spec.heartbeat == "off") return false;
  const std::string_view script = base_name(spec.script);
  if (std::find(std::begin(kStarters), std::end(kStarters), script) != std::end(kStarters)) return false;
  // A breakpoint looks like a hang.
  return spec.heartbeat == "on" ||
         std::none_of(spec.node_args.begin(), spec.node_args.end(),
                      [](const std::string& arg) { return arg.starts_with("--inspect"); });
}

std::size_t listen_fds(const PlanInput& in) {
  return (passes_sockets(*in.spec) ? in.spec->listen.size() : 0) + in.stored.size();
}

bool may_notify(const AppSpec& spec, bool pm2) {
  return spec.wait_ready || (!pm2 && spec.heartbeat != "off");
}

bool may_keep_watchdog(const AppSpec& spec, bool pm2) {
  return !pm2 && spec.heartbeat != "off" && !speaks_node_channel(spec);
}

bool passes_sockets(const AppSpec& spec) { return !spec.listen.empty() && !is_worker(spec); }

Result<std::vector<Layer>> environment_layers(const PlanInput& in) {
  using From = Layer::From;
  const AppSpec& spec = *in.spec;
  std::vector<Layer> layers(1);
  Env& base = layers.front().env;
  if (in.base_env && spec.inherit_env) {
    for (const auto& [name, value] : in.base_env->env) {
      if (wanted(spec, name)) base.emplace_back(name, value);
    }
  } else if (in.base_env) {
    for (const std::string_view name : {"PATH", "HOME", "USER", "LANG", "SHELL"}) {
      if (const std::string* value = find_variable(in.base_env->env, name)) base.emplace_back(name, *value);
    }
  }
  const std::string_view program = base_name(spec.interpreter == "none" ? spec.script : spec.interpreter);
  // A pipe makes Python hold back its lines; a kill would then lose them (protocols.md 9).
  if (program.rfind("python", 0) == 0) layers.push_back({From::python, {{"PYTHONUNBUFFERED", "1"}}});
  if (!spec.env_file.empty()) {
    auto file = config::read_dotenv(spec.env_file);
    if (!file) return tl::unexpected(file.error());
    layers.push_back({From::env_file, std::move(*file)});
  }
  layers.push_back({From::env, spec.env});
  Env own;
  add_own(own, in, layers);
  layers.push_back({From::tend, std::move(own)});
  return layers;
}

Result<Env> environment(const PlanInput& in) {
  auto layers = environment_layers(in);
  if (!layers) return tl::unexpected(layers.error());
  Env env = std::move(layers->front().env);
  for (auto layer = layers->begin() + 1; layer != layers->end(); ++layer) {
    for (auto& [name, value] : layer->env) set_variable(env, name, std::move(value));
  }
  return env;
}

Result<keeper::SpawnRequest> plan(const PlanInput& in) {
  const AppSpec& spec = *in.spec;
  auto env = environment(in);
  if (!env) return tl::unexpected(env.error());
  keeper::SpawnRequest r;
  r.id = in.id;
  r.spawn = in.spawn;
  r.cwd = spec.cwd;
  if (spec.interpreter.empty() || spec.interpreter == "none") {
    r.path = spec.script;
    r.argv.push_back(spec.script);
  } else {
    auto program = program_of(spec.interpreter, *env, spec.cwd);
    if (!program) return tl::unexpected(program.error());
    r.path = *program;
    r.argv.push_back(spec.interpreter);
    if (preloads(spec, in.home.pm2)) add_preload(in, r.argv);
    if (maps_sources(spec, in.home.pm2)) r.argv.emplace_back("--enable-source-maps");
    r.argv.insert(r.argv.end(), spec.node_args.begin(), spec.node_args.end());
    r.argv.push_back(spec.script);
  }
  for (const std::string& arg : spec.args)
    r.argv.push_back(passes_sockets(spec) ? with_descriptors(arg, spec.listen.size()) : arg);
  r.env.reserve(env->size());
  for (const auto& [name, value] : *env) r.env.push_back(name + "=" + value);
  r.uid = in.identity.uid;
  r.gid = in.identity.gid;
  r.groups = in.identity.groups;
  r.umask = static_cast<int32_t>(spec.umask);
  r.nice = static_cast<int32_t>(spec.nice);
  r.nofile = spec.nofile;
  r.extras = extras_of(spec);
  return r;
}

}  // namespace tend::supervisor
