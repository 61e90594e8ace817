#include "core/model/pm2_record.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "core/base/text.h"
#include "core/model/env.h"
#include "core/model/options.h"

namespace tend {
namespace {

// Of a record: PM2's own state, and what is read or written by name below. No option, no variable of the app.
constexpr std::string_view kOwnFields[] = {"name",
                                           "namespace",
                                           "pm_id",
                                           "status",
                                           "exec_mode",
                                           "exec_interpreter",
                                           "node_args",
                                           "pm_exec_path",
                                           "pm_cwd",
                                           "args",
                                           "instances",
                                           "env",
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
                                           "watch",
                                           "username",
                                           "unique_id",
                                           "version",
                                           "node_version",
                                           "_pm2_version",
                                           "_tree_pids",
                                           "axm_actions",
                                           "axm_monitor",
                                           "axm_options",
                                           "axm_dynamic",
                                           "versioning",
                                           "pmx_module",
                                           "_km_monitored",
                                           "km_link",
                                           "vizion_running",
                                           "windowsHide",
                                           "kill_retry_time",
                                           "instance_var",
                                           "filter_env",
                                           "env_file",
                                           "tend_file_env",
                                           "PM2_INTERACTOR_PROCESSING",
                                           "PM2_PROGRAMMATIC",
                                           "NODE_CHANNEL_FD",
                                           "NODE_UNIQUE_ID",
                                           "stdin",
                                           "command"};
// Rows that the lines below fill; the others of the table carry over by their names.
constexpr std::string_view kByHand[] = {
    "name",      "namespace",  "name_space", "script", "args",         "cwd",        "interpreter",
    "node_args", "exec_mode",  "instances",  "env",    "out_file",     "error_file", "log_file",
    "pid_file",  "merge_logs", "watch",      "extra",  "instance_var", "env_file"};

template <std::size_t N>
bool one_of(std::string_view word, const std::string_view (&words)[N]) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

std::string_view pm2_name(const OptionRow& row) { return row.pm2_key.empty() ? row.key : row.pm2_key; }

StringList words_of(const Value& v) {
  StringList out;
  if (v.is<std::string>()) out = split(v.text(), ' ');
  for (const Value& one : v.list())
    out.push_back(one.is<int64_t>() ? std::to_string(one.integer()) : one.text());
  std::erase(out, "");
  return out;
}

// As the app would see it; "": no scalar, which PM2 does not export.
bool variable_text(const Value& v, std::string& out) {
  if (v.is<std::string>())
    out = v.text();
  else if (v.is<bool>())
    out = v.boolean() ? "true" : "false";
  else if (v.is<int64_t>())
    out = std::to_string(v.integer());
  else if (v.is<double>()) {
    char text[40];
    const auto end = std::to_chars(text, text + sizeof text, v.number());
    out.assign(text, end.ptr);
  } else
    return false;
  return true;
}

// "/x/api-out-3.log" of instance 3 -> "/x/api-out.log"; the number that an app's own name ends in stays.
std::string without_number(std::string path, const std::string& number, std::string_view suffix) {
  const std::string end = "-" + number + std::string(suffix);
  if (!number.empty() && path.ends_with(end)) path.replace(path.size() - end.size(), end.size(), suffix);
  return path;
}

// The pid file tells the number that names of logs end in: it always has it.
std::string number_of(const Value& record) {
  const std::string& path = record.at("pm_pid_path").text();
  const auto dash = path.rfind('-');
  if (dash == std::string::npos || !path.ends_with(".pid")) return {};
  std::string number = path.substr(dash + 1, path.size() - dash - 5);
  return is_digits(number) ? number : std::string();
}

std::string moved(const std::string& path, const Pm2Reading& how) {
  if (how.to_home.empty() || how.from_home.empty()) return path;
  for (const char* folder : {"/logs/", "/pids/"}) {
    const std::string from = how.from_home + folder;
    if (path.starts_with(from)) return how.to_home + folder + path.substr(from.size());
  }
  return path;
}

// `given`: as if the user had written it; else as if it had been resolved.
void mark(AppSpec& spec, std::string_view key, bool given) {
  const OptionRow* row = find_option(key);
  if (row == nullptr) return;
  (given ? spec.given : spec.resolved).set(index_of(*row));
}

Status read_options(AppSpec& spec, const Value& record) {
  const AppSpec plain;
  for (const OptionRow& row : options()) {
    if (one_of(row.key, kByHand)) continue;
    const Value& v = record.at(pm2_name(row));
    if (v.is_null() || v == get(plain, row)) continue;
    AppSpec trial = spec;
    if (auto ok = assign(trial, row, v); ok)
      spec = std::move(trial);
    else if (!v.is<Map>())
      return fail(std::string(row.key) + ": found " + ok.error().found +
                  "; accepted: " + ok.error().accepted);
  }
  return {};
}

Env read_variables(const Value& record, const std::string& name, const std::string& instance_var) {
  Env env;
  std::string text;
  const auto take = [&](const Map& from, bool flattened) {
    for (const auto& [key, value] : from) {
      if (key.empty() || key.find('=') != std::string::npos || one_of(key, kOwnFields) || key == instance_var)
        continue;
      if (key == name && value.is<Map>()) continue;
      if (flattened && find_option(key) != nullptr) continue;
      if (variable_text(value, text) && text.find('\0') == std::string::npos) set_variable(env, key, text);
    }
  };
  take(record.map(), true);
  take(record.at("env").map(), false);
  return env;
}

void read_paths(AppSpec& spec, const Value& record, const Pm2Reading& how) {
  const std::string number = number_of(record);
  const std::string log_number = spec.merge_logs ? std::string() : number;
  const auto log = [&](const char* key) {
    return moved(without_number(record.at(key).text(), log_number, ".log"), how);
  };
  spec.out_file = log("pm_out_log_path");
  spec.error_file = log("pm_err_log_path");
  spec.log_file = log("pm_log_path");
  spec.pid_file = moved(without_number(record.at("pm_pid_path").text(), number, ".pid"), how);
  for (const char* key : {"out_file", "error_file", "pid_file"}) mark(spec, key, false);
  if (!spec.log_file.empty()) mark(spec, "log_file", true);
}

}  // namespace

Result<Value> saved_from_pm2(const Value& record, const Pm2Reading& how) {
  const std::string& name = record.at("name").text();
  const std::string& script = record.at("pm_exec_path").text();
  if (name.empty() || script.empty() || script[0] != '/')
    return fail("a record of PM2 without name or pm_exec_path");
  AppSpec spec;
  if (auto ok = read_options(spec, record); !ok) return fail(name + ": " + ok.error().message);
  spec.name = name;
  if (const std::string& ns = record.at("namespace").text(); !ns.empty()) spec.name_space = ns;
  spec.script = script;
  spec.args = words_of(record.at("args"));
  spec.cwd =
      record.at("pm_cwd").text().empty() ? script.substr(0, script.rfind('/')) : record.at("pm_cwd").text();
  spec.interpreter =
      record.at("exec_interpreter").text().empty() ? "none" : record.at("exec_interpreter").text();
  spec.node_args = words_of(record.at("node_args"));
  const std::string& mode = record.at("exec_mode").text();
  spec.exec_mode = mode.starts_with("cluster") ? "cluster" : "fork";
  spec.merge_logs = record.at("merge_logs").boolean();
  spec.watch = record.at("watch");
  if (const std::string& variable = record.at("instance_var").text(); !variable.empty())
    spec.instance_var = variable;
  for (const char* key : {"name", "script", "cwd", "interpreter"}) mark(spec, key, true);
  for (const char* key : {"namespace", "exec_mode", "instances", "merge_logs"}) mark(spec, key, false);
  if (!spec.args.empty()) mark(spec, "args", true);
  if (!spec.node_args.empty()) mark(spec, "node_args", true);
  if (!spec.watch.is_null() && !(spec.watch == Value(false))) mark(spec, "watch", true);
  if (spec.instance_var != AppSpec{}.instance_var) mark(spec, "instance_var", true);
  read_paths(spec, record, how);
  if (const std::string& file = record.at("env_file").text(); !file.empty()) {
    spec.env_file = file[0] == '/' ? file : spec.cwd + "/" + file;
    mark(spec, "env_file", true);
  }
  Map others;  // env_production and the like
  for (const auto& [key, value] : record.map())
    if (key.starts_with("env_") && value.is<Map>()) others.append(key, value);
  if (!others.empty()) spec.extra = std::move(others);

  Env env = read_variables(record, name, spec.instance_var);
  const StringList own = words_of(record.at("tend_file_env"));
  for (const std::string& key : own) {
    if (const std::string* value = find_variable(env, key)) spec.env.emplace_back(key, *value);
    std::erase_if(env, [&](const auto& e) { return e.first == key; });
  }
  if (!spec.env.empty()) mark(spec, "env", true);
  if (how.pm2_rules || !spec.wait_ready) {
    const OptionRow& row = *find_option("ready_timeout");
    if (!spec.given[index_of(row)]) spec.ready_timeout = "online", mark(spec, "ready_timeout", false);
  }
  if (how.pm2_rules && !spec.given[index_of(*find_option("heartbeat"))])
    spec.heartbeat = "off", mark(spec, "heartbeat", false);

  Map vars;
  for (auto& [key, value] : env) vars.append(key, std::move(value));
  std::string unique = record.at("unique_id").text();
  if (unique.empty()) unique = record.at("env").at("unique_id").text();
  return Value(
      Map{{"app",
           Map{{"spec", to_value(spec)}, {"unique_id", unique}, {"uid", -1}, {"gid", -1}, {"increment", -1}}},
          {"env", std::move(vars)},
          {"wanted", record.at("status").text() != "stopped"}});
}

List saved_list_from_pm2(const List& records, const Pm2Reading& how, StringList& wrong) {
  // PM2 gives workers of one app one id or several; here those that share it are numbered together. Two apps
  // of one name, each with a number 0, stay two.
  struct Group {
    std::string unique_id;
    std::set<int64_t> numbers;
  };
  List out;
  std::map<std::string, int64_t> counts;
  std::map<std::string, Group> groups;
  for (const Value& record : records) {
    if (record.at("pmx_module").boolean()) continue;
    auto saved = saved_from_pm2(record, how);
    if (!saved) {
      wrong.push_back(saved.error().message);
      continue;
    }
    const std::string& name = record.at("name").text();
    ++counts[name];
    Map& app = *(*saved->as<Map>())["app"].as<Map>();
    Group& group = groups[name];
    if (group.numbers.empty()) group.unique_id = app["unique_id"].text();
    const std::string& variable = record.at("instance_var").text();
    if (group.numbers.insert(record.at(variable.empty() ? "NODE_APP_INSTANCE" : variable).integer()).second)
      app.set("unique_id", group.unique_id);
    out.push_back(std::move(*saved));
  }
  for (Value& saved : out) {
    Map& spec = *(*(*saved.as<Map>())["app"].as<Map>())["spec"].as<Map>();
    spec.set("instances", counts[spec["name"].text()]);
  }
  return out;
}

Value pm2_from_saved(const Value& saved) {
  const Value& app = saved.at("app");
  const auto read = spec_from_value(app.at("spec"));
  const AppSpec spec = read ? *read : AppSpec{};
  Map vars = saved.at("env").map();
  List own;
  for (const auto& [key, value] : spec.env) {
    vars.set(key, value);
    own.emplace_back(key);
  }
  Map r = vars;  // every variable is a key of the record
  const auto list = [](const StringList& words) { return Value(List(words.begin(), words.end())); };
  vars.set("unique_id", app.at("unique_id"));
  vars.set(spec.name, Map{});
  for (const char* key :
       {"autostart", "autorestart", "vizion", "pmx", "automation", "treekill", "windowsHide"})
    r.set(key, true);
  for (const OptionRow& row : options()) {
    if (!spec.given[index_of(row)] || one_of(row.key, kByHand)) continue;
    r.set(std::string(pm2_name(row)), get(spec, row));
  }
  for (const auto& [key, value] : spec.extra.map()) r.set(key, value);
  if (!spec.env_file.empty()) r.set("env_file", spec.env_file);
  if (!spec.log_date_format.empty()) r.set("log_date_format", spec.log_date_format);
  r.set("name", spec.name);
  r.set("namespace", spec.name_space);
  r.set("filter_env", list(spec.filter_env));
  r.set("instance_var", spec.instance_var);
  r.set("kill_retry_time", 100);
  r.set("km_link", false);
  r.set("vizion_running", false);
  r.set("watch", spec.watch.is_null() ? Value(false) : spec.watch);
  if (spec.merge_logs) r.set("merge_logs", true);
  if (!spec.args.empty()) r.set("args", list(spec.args));
  r.set("node_args", list(spec.node_args));
  r.set("pm_exec_path", spec.script);
  r.set("pm_cwd", spec.cwd);
  r.set("exec_interpreter", spec.interpreter.empty() ? "none" : spec.interpreter);
  r.set("exec_mode", spec.exec_mode + "_mode");
  r.set("pm_out_log_path", saved.at("out"));
  r.set("pm_err_log_path", saved.at("error"));
  r.set("pm_pid_path", saved.at("pid_path"));
  if (!saved.at("log").text().empty()) r.set("pm_log_path", saved.at("log"));
  r.set(spec.instance_var, app.at("slot").integer());
  r.set("status", saved.at("wanted").boolean(true) ? "online" : "stopped");
  for (const char* key : {"USER", "LOGNAME"})
    if (const std::string& user = vars[key].text(); !user.empty()) r.set("username", user);
  r.set("restart_time", 0);
  r.set("unstable_restarts", 0);
  r.set("unique_id", app.at("unique_id"));
  for (const char* key : {"axm_monitor", "axm_options", "axm_dynamic"}) r.set(key, Map{});
  r.set("axm_actions", List{});
  if (!own.empty()) r.set("tend_file_env", std::move(own));
  r.set("env", std::move(vars));
  return r;
}

}  // namespace tend
