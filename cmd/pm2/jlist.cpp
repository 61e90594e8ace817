#include "cmd/pm2/jlist.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "cmd/pm2/package_version.h"
#include "cmd/render/metrics.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "core/model/app_spec.h"
#include "core/model/env.h"
#include "core/model/options.h"

namespace tend::pm2 {
namespace {

// Written below under PM2's own names, from what runs and not from what was asked.
bool shown_elsewhere(std::string_view key) {
  for (const std::string_view k : {"name", "namespace", "name_space", "script", "args", "cwd", "interpreter",
                                   "node_args", "exec_mode", "instances", "env", "out_file", "error_file",
                                   "log_file", "pid_file", "watch", "extra", "env_file", "merge_logs"})
    if (k == key) return true;
  return false;
}

Value list_of(const StringList& words) {
  List list;
  for (const auto& w : words) list.emplace_back(w);
  return list;
}

// A text that a number or a boolean would be written as.
Value typed(const std::string& text) {
  if (text == "true" || text == "false") return text == "true";
  double d = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), d);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return text;
  char again[40];
  const auto written = std::to_chars(again, again + sizeof again, d, std::chars_format::fixed);
  if (written.ec != std::errc() ||
      std::string_view(again, static_cast<std::size_t>(written.ptr - again)) != text)
    return text;
  if (d == std::floor(d) && std::fabs(d) < 9e15) return static_cast<int64_t>(d);
  return d;
}

void set_options(Map& env, const AppSpec& spec) {
  for (const OptionRow& row : options()) {
    if (!spec.given[index_of(row)] || shown_elsewhere(row.key)) continue;
    env.set(std::string(row.pm2_key.empty() ? row.key : row.pm2_key), get(spec, row));
  }
  for (const char* key : {"uid", "gid"}) {
    if (const Value* word = env.find(key);
        word != nullptr && is_digits(word->text()) && word->text().size() < 11)
      env.set(key, typed(word->text()));
  }
  for (const auto& [key, value] : spec.extra.map()) env.set(key, value);
  if (!spec.env_file.empty()) env.set("env_file", spec.env_file);
}

}  // namespace

Value record(const Value& row, const std::string& version) {
  const auto parsed = spec_from_value(row.at("spec"));
  const AppSpec spec = parsed ? *parsed : AppSpec{};
  const std::string& name = row.at("name").text();
  const int64_t id = row.at("id").integer();

  // The file's variables win over the caller's. Numbers of the file stay numbers.
  Map vars;
  for (const auto& [key, value] : row.at("base_env").map())
    if (passes_filter(spec.filter_env, key)) vars.append(key, value);
  for (const auto& [key, value] : row.at("env").map()) {
    const bool number = std::find(spec.typed.begin(), spec.typed.end(), key) != spec.typed.end();
    vars.set(key, number ? typed(value.text()) : value);
  }
  if (const int64_t n = row.at("increment").integer(-1); n >= 0 && !spec.increment_var.empty()) {
    vars.set(spec.increment_var, n);
  }
  Map env = vars;  // flattened: every variable is a key of the record
  vars.set("unique_id", row.at("unique_id").text());
  vars.set(name, Map{});

  // What PM2 always has, before what was set, before what runs.
  for (const char* key :
       {"autostart", "autorestart", "vizion", "pmx", "automation", "treekill", "windowsHide"})
    env.set(key, true);
  // PM2 fills some in for what a command line started, and leaves them out for the apps of a file.
  const bool from_file = vars.find("PM2_JSON_PROCESSING") != nullptr;
  if (!from_file) env.set("filter_env", List{});
  env.set("instance_var", spec.instance_var);
  env.set("kill_retry_time", 100);
  env.set("km_link", false);
  env.set("vizion_running", false);
  set_options(env, spec);
  if (spec.merge_logs) env.set("merge_logs", true);
  const Value watch = spec.watch.is_null() ? Value(false) : spec.watch;
  if (!from_file || spec.given[index_of(*find_option("watch"))]) env.set("watch", watch);
  if (!spec.log_date_format.empty()) env.set("log_date_format", spec.log_date_format);
  env.set("name", name);
  env.set("namespace", row.at("namespace").text());
  env.set("pm_id", id);
  env.set("status", row.at("status").text());
  env.set("exec_mode", row.at("mode").text() + "_mode");
  env.set("exec_interpreter", spec.interpreter);
  env.set("node_args", list_of(spec.node_args));
  env.set("pm_exec_path", spec.script.empty() ? row.at("script").text() : spec.script);
  env.set("pm_cwd", spec.cwd);
  if (!spec.args.empty() || spec.given[index_of(*find_option("args"))]) env.set("args", list_of(spec.args));
  env.set("instances", spec.instances);
  env.set(spec.instance_var, row.at("instance").integer());
  env.set("pm_uptime", row.at("uptime").integer());
  env.set("created_at", row.at("created"));
  env.set("restart_time", row.at("restarts").integer());
  env.set("unstable_restarts", row.at("unstable").integer());
  env.set("prev_restart_delay", row.at("restart_delay").integer());
  if (!row.at("exit_code").is_null()) env.set("exit_code", row.at("exit_code"));
  env.set("pm_out_log_path", row.at("out").text());
  env.set("pm_err_log_path", row.at("error").text());
  env.set("pm_pid_path", row.at("pid_path").text());
  if (!row.at("log").text().empty()) env.set("pm_log_path", row.at("log").text());
  env.set("username", row.at("user").text());
  env.set("unique_id", row.at("unique_id").text());
  // PM2 looks for it when it spawns.
  if (row.at("uptime").integer() > 0) env.set("version", version.empty() ? std::string("N/A") : version);
  if (!row.at("node_version").text().empty()) env.set("node_version", row.at("node_version").text());
  if (!row.at("tree").list().empty()) env.set("_tree_pids", row.at("tree"));
  env.set("axm_actions", row.at("axm_actions").list());
  env.set("axm_monitor", render::metrics_of(row));
  env.set("axm_options", row.at("axm_options").map());
  env.set("axm_dynamic", Map{});
  env.set("env", std::move(vars));

  const bool online = api::is_online(row.at("status").text());
  return Map{{"pid", row.at("pid").integer()},
             {"name", name},
             {"pm2_env", std::move(env)},
             {"pm_id", id},
             {"monit", Map{{"memory", online ? row.at("memory").integer() : 0},
                           {"cpu", online ? row.at("cpu") : Value(0)}}}};
}

bool internal_key(std::string_view key) {
  for (const std::string_view k : {"name",
                                   "pm_id",
                                   "status",
                                   "exec_mode",
                                   "exec_interpreter",
                                   "node_args",
                                   "pm_exec_path",
                                   "pm_cwd",
                                   "args",
                                   "instances",
                                   "pm_uptime",
                                   "created_at",
                                   "restart_time",
                                   "unstable_restarts",
                                   "prev_restart_delay",
                                   "exit_code",
                                   "pm_out_log_path",
                                   "pm_err_log_path",
                                   "pm_pid_path",
                                   "pm_log_path",
                                   "merge_logs",
                                   "autostart",
                                   "autorestart",
                                   "vizion",
                                   "pmx",
                                   "automation",
                                   "treekill",
                                   "windowsHide",
                                   "watch",
                                   "instance_var",
                                   "username",
                                   "kill_retry_time"})
    if (k == key) return true;
  return false;
}

Value jlist(const List& rows) {
  List records;
  std::map<std::string, std::string> versions;  // instances share a script
  for (const Value& row : rows) {
    std::string script = row.at("spec").at("script").text();
    if (script.empty()) script = row.at("script").text();
    auto found = versions.find(script);
    if (found == versions.end()) found = versions.emplace(script, package_version(script)).first;
    records.push_back(record(row, found->second));
  }
  return records;
}

}  // namespace tend::pm2
