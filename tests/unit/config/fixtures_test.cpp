// Ten files of the forms that users write, against what PM2 7.0.4 made of them
// (fixtures/ecosystem/expected.json).
#include <map>

#include "core/model/options.h"
#include "core/model/words.h"
#include "tests/unit/config/support.h"

using namespace tend;
using namespace tend::config;

namespace {

const std::string kRoot = TEND_FIXTURES;

std::string relative(const std::string& path, const Context& context) {
  if (path.starts_with(context.home.dir)) return "$PM2_HOME" + path.substr(context.home.dir.size());
  if (path == kRoot) return "./";
  return path.starts_with(kRoot + '/') ? "." + path.substr(kRoot.size()) : path;
}

std::string abs_program(const std::string& path) {
  return path.starts_with('/') ? "<abs>/" + std::filesystem::path(path).filename().string() : path;
}

std::string log_path(const AppSpec& spec, const std::string& path, const Context& context) {
  return relative(instance_log_path(spec, path, 99), context);
}

std::string with_id(std::string text) {
  if (const auto at = text.rfind("<pm_id>"); at != std::string::npos) text.replace(at, 7, "99");
  return text;
}

// Fields that expected.json shows only when they are set, in the record's own types.
Value set_option(const AppSpec& spec, const OptionRow& row) {
  const std::size_t i = index_of(row);
  return spec.given[i] || spec.resolved[i] ? get(spec, row) : Value();
}

void compare(const AppSpec& spec, const Value& want, const Context& context) {
  CAPTURE(spec.name);
  CHECK(spec.name == want.at("name").text());
  CHECK(spec.name_space == want.at("namespace").text());
  CHECK(spec.exec_mode + "_mode" == want.at("exec_mode").text());
  CHECK(spec.instances == want.at("instances").integer());
  CHECK(abs_program(spec.interpreter) == want.at("interpreter").text());
  const std::string script = relative(spec.script, context);
  CHECK((script.starts_with("./") ? script : abs_program(script)) == want.at("script").text());
  CHECK(Value(List(spec.args.begin(), spec.args.end())) == Value(want.at("args").list()));
  CHECK(Value(List(spec.node_args.begin(), spec.node_args.end())) == Value(want.at("node_args").list()));
  CHECK(relative(spec.cwd, context) == want.at("cwd").text());
  CHECK(log_path(spec, spec.out_file, context) == with_id(want.at("out").text()));
  CHECK(log_path(spec, spec.error_file, context) == with_id(want.at("err").text()));
  if (want.map().find("log") != nullptr)
    CHECK(log_path(spec, spec.log_file, context) == with_id(want.at("log").text()));
  CHECK(relative(instance_pid_path(spec, 99), context) == with_id(want.at("pid_file").text()));
  for (const auto& [name, value] : want.at("env").map()) {
    const bool computed =
        name == "NODE_APP_INSTANCE" || name == "SLOT" || name == "FX_HERE" || name == spec.increment_var;
    if (computed) continue;
    const std::string variable_name(name);
    CAPTURE(variable_name);
    CHECK(variable(spec.env, name) == js_text(value));
  }
  for (const char* key : {"merge_logs", "log_type", "log_date_format", "max_memory_restart", "min_uptime",
                          "max_restarts", "restart_delay", "exp_backoff_restart_delay", "kill_timeout",
                          "listen_timeout", "wait_ready", "cron_restart", "stop_exit_codes", "increment_var",
                          "source_map_support", "ignore_watch", "shutdown_with_message"}) {
    CHECK_MESSAGE(set_option(spec, *find_option(key)) == want.at(key), std::string(key));
  }
  for (const char* key : {"autorestart", "autostart", "vizion", "treekill", "instance_var"}) {
    CHECK_MESSAGE(get(spec, *find_option(key)) == want.at(key), std::string(key));
  }
  if (want.map().find("watch") != nullptr) CHECK(spec.watch == want.at("watch"));
}

void check_file(const std::string& file, bool pm2) {
  CAPTURE(file);
  CAPTURE(pm2);
  Context context = caller(kRoot, pm2);
  static const Value kExpected = parse_file("expected.json", caller(kRoot, false)).value();
  const Value& want = kExpected.at(file);
  const List& start = want.at("start").list();
  if (start.size() == 4) context.env_name = start[3].text();
  const Loaded loaded = load_file(file, context);
  INFO(messages(loaded));
  CHECK_FALSE(loaded.failed);
  std::size_t processes = 0;
  for (const AppSpec& spec : loaded.apps) {
    int64_t found = 0;
    for (const Value& process : want.at("processes").list()) {
      const std::string script = relative(spec.script, context);
      if (process.at("name").text() != spec.name) continue;
      if ((script.starts_with("./") ? script : abs_program(script)) != process.at("script").text()) continue;
      compare(spec, process, context);
      ++found;
    }
    CHECK(found == spec.instances);
    processes += static_cast<std::size_t>(found);
  }
  CHECK(processes == want.at("processes").list().size());
}

}  // namespace

TEST_CASE("every ecosystem file resolves as PM2 resolves it") {
  for (const char* file : {"01-single.config.js", "02-cluster.config.cjs", "03-monorepo.config.js",
                           "04-aliases.config.json", "05-lax.json", "06-process.json", "07-pm2.yml",
                           "08-polyglot.config.js", "09-module.config.mjs", "10-kitchen-sink.config.js"}) {
    check_file(file, true);
  }
}

TEST_CASE("under its own name tend runs the same files, and obeys #! lines") {
  for (const char* file :
       {"01-single.config.js", "02-cluster.config.cjs", "04-aliases.config.json", "05-lax.json",
        "06-process.json", "07-pm2.yml", "08-polyglot.config.js", "09-module.config.mjs"}) {
    check_file(file, false);
  }
}

TEST_CASE("what PM2 keeps in its record is kept, and env_file loads nothing under its name") {
  const Loaded loaded = load_file("10-kitchen-sink.config.js", caller(kRoot, true));
  REQUIRE(loaded.apps.size() == 4);
  CHECK(loaded.apps[0].extra.at("env_file").text() == "config/local.env");
  CHECK(loaded.apps[0].env_file.empty());
  const Loaded own = load_file("10-kitchen-sink.config.js", caller(kRoot, false));
  REQUIRE(own.apps.size() == 4);
  CHECK(own.apps[0].env_file == kRoot + "/config/local.env");
  CHECK(messages(own).find("max_restart: unknown field; nearest: max_restarts") != std::string::npos);
  CHECK(messages(loaded).find("unknown") == std::string::npos);
}
