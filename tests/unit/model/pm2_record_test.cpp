#include "core/model/pm2_record.h"

#include <doctest/doctest.h>

#include "core/model/options.h"

namespace tend {
namespace {

Map record(const std::string& name, int64_t number) {
  return Map{
      {"name", name},
      {"namespace", "default"},
      {"status", "online"},
      {"pm_exec_path", "/srv/app.js"},
      {"pm_cwd", "/srv"},
      {"exec_interpreter", "node"},
      {"exec_mode", "cluster_mode"},
      {"node_args", List{"--trace-warnings"}},
      {"args", List{"a", "b c"}},
      {"instance_var", "NODE_APP_INSTANCE"},
      {"NODE_APP_INSTANCE", number},
      {"merge_logs", false},
      {"pm_out_log_path", "/home/u/.pm2/logs/" + name + "-out-7.log"},
      {"pm_err_log_path", "/var/log/" + name + "-7.log"},
      {"pm_pid_path", "/home/u/.pm2/pids/" + name + "-7.pid"},
      {"max_memory_restart", 1048576},
      {"restart_time", 99},
      {"created_at", 123},
      {"pm_uptime", 456},
      {"axm_monitor", Map{{"Heap", Map{}}}},
      {"TASTE", "salt"},
      {"LEFT", "over"},
      {"env", Map{{"TASTE", "pepper"}, {"N", 5}, {"FLAG", true}, {name, Map{}}, {"unique_id", "u-1"}}}};
}

AppSpec spec_of(const Value& saved) { return spec_from_value(saved.at("app").at("spec")).value(); }

TEST_CASE("a record of PM2 becomes what its app is, without what only happened to it") {
  const auto saved = saved_from_pm2(record("api", 0), {true, "/home/u/.pm2", "/home/u/.tend"});
  REQUIRE(saved.has_value());
  const AppSpec spec = spec_of(*saved);
  CHECK(spec.name == "api");
  CHECK(spec.script == "/srv/app.js");
  CHECK(spec.args == StringList{"a", "b c"});
  CHECK(spec.node_args == StringList{"--trace-warnings"});
  CHECK(spec.exec_mode == "cluster");
  CHECK(spec.max_memory_restart.n == 1048576);
  CHECK(spec.ready_timeout == "online");
  CHECK(spec.heartbeat == "off");
  CHECK(saved->at("wanted").boolean());
  // The instance's number is not the app's; PM2's own folder is exchanged, another stays.
  CHECK(spec.out_file == "/home/u/.tend/logs/api-out.log");
  CHECK(spec.error_file == "/var/log/api.log");
  CHECK(spec.pid_file == "/home/u/.tend/pids/api.pid");
  const Value& env = saved->at("env");
  CHECK(env.at("TASTE").text() == "pepper");
  CHECK(env.at("LEFT").text() == "over");
  CHECK(env.at("N").text() == "5");
  CHECK(env.at("FLAG").text() == "true");
  for (const char* key : {"restart_time", "created_at", "pm_uptime", "unique_id", "api", "name", "status",
                          "max_memory_restart", "NODE_APP_INSTANCE", "pm_exec_path"})
    CHECK_MESSAGE(env.at(key).is_null(), key);
}

TEST_CASE("tend's own rules are not softened for an app that moves, except that PM2 never waited for it") {
  const auto saved = saved_from_pm2(record("api", 0), {false, "", ""});
  CHECK(spec_of(*saved).heartbeat == "auto");
  CHECK(spec_of(*saved).out_file == "/home/u/.pm2/logs/api-out.log");
}

TEST_CASE("a name that ends in a number keeps it in the names of its files") {
  Map one = record("api-7", 0);
  one.set("pm_out_log_path", "/l/api-7-out.log");
  one.set("merge_logs", true);
  CHECK(spec_of(*saved_from_pm2(one, {})).out_file == "/l/api-7-out.log");
  one.set("pm_pid_path", "/p/api-7-0.pid");
  CHECK(spec_of(*saved_from_pm2(one, {})).pid_file == "/p/api-7.pid");
}

TEST_CASE("instances of one app share its count and its id, two apps of one name do not share the id") {
  StringList wrong;
  Map second = record("api", 1), stranger = record("api", 0), module = record("mod", 0);
  second.set("unique_id", "u-2");
  stranger.set("unique_id", "u-3");
  module.set("pmx_module", true);
  const List saved =
      saved_list_from_pm2({record("api", 0), second, stranger, module, record("other", 0)}, {}, wrong);
  CHECK(wrong.empty());
  REQUIRE(saved.size() == 4);
  CHECK(saved[0].at("app").at("unique_id").text() == "u-1");
  CHECK(saved[1].at("app").at("unique_id").text() == "u-1");
  CHECK(saved[2].at("app").at("unique_id").text() == "u-3");
  CHECK(spec_of(saved[0]).instances == 3);
  CHECK(spec_of(saved[3]).instances == 1);
}

TEST_CASE("what is no record, or has a field that cannot be, is named and costs the others nothing") {
  StringList wrong;
  Map bad = record("bad", 0);
  bad.set("kill_timeout", "soon");
  const List saved = saved_list_from_pm2({Value(5), Map{{"name", "x"}}, bad, record("good", 0)}, {}, wrong);
  CHECK(saved.size() == 1);
  REQUIRE(wrong.size() == 3);
  CHECK(wrong[2].find("bad: kill_timeout: found") == 0);
}

TEST_CASE("what tend writes for PM2 it reads back as the same app") {
  Map source = record("api", 1);
  source.set("status", "stopped");
  source.set("tend_file_env", List{"TASTE"});
  source.set("env_file", ".env");
  source.set("env_production", Map{{"TASTE", "none"}});
  Value saved = *saved_from_pm2(source, {});
  CHECK(spec_of(saved).env == Env{{"TASTE", "pepper"}});
  Map& map = *saved.as<Map>();
  map.set("out", source["pm_out_log_path"]);
  map.set("error", source["pm_err_log_path"]);
  map.set("pid_path", source["pm_pid_path"]);
  map["app"].as<Map>()->set("slot", 1);
  const Value written = pm2_from_saved(saved);
  CHECK(written.at("status").text() == "stopped");
  CHECK(written.at("NODE_APP_INSTANCE").integer() == 1);
  CHECK(written.at("restart_time").integer(-1) == 0);
  CHECK(written.at("exec_mode").text() == "cluster_mode");
  CHECK(written.at("env").at("TASTE").text() == "pepper");
  CHECK(written.at("TASTE").text() == "pepper");
  CHECK(written.at("env_file").text() == "/srv/.env");
  CHECK(spec_of(saved).extra.at("env_production").at("TASTE").text() == "none");
  const Value again = *saved_from_pm2(written, {});
  CHECK(again.at("app") == saved_from_pm2(source, {})->at("app"));
  CHECK(again.at("env") == saved_from_pm2(source, {})->at("env"));
  CHECK_FALSE(again.at("wanted").boolean(true));
}

}  // namespace
}  // namespace tend
