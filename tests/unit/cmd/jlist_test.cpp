#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "cmd/pm2/jlist.h"
#include "cmd/pm2/package_version.h"
#include "core/model/options.h"

using namespace tend;

namespace {

Value row() {
  AppSpec spec;
  const auto set = [&](std::string_view key, const Value& v) { REQUIRE(assign(spec, *find_option(key), v)); };
  set("name", "api");
  set("script", "/srv/api.js");
  set("cwd", "/srv");
  set("interpreter", "node");
  set("exec_mode", "cluster");
  set("max_memory_restart", "1G");
  set("kill_timeout", "3s");
  spec.typed = {"PORT", "DEBUG"};
  return Map{{"id", 3},
             {"name", "api"},
             {"namespace", "default"},
             {"mode", "cluster"},
             {"pid", 77},
             {"created", int64_t{1000}},
             {"uptime", int64_t{2000}},
             {"restarts", 1},
             {"unstable", 0},
             {"status", "online"},
             {"cpu", 1.5},
             {"memory", 4096},
             {"user", "root"},
             {"spec", to_value(spec)},
             {"env", Map{{"PORT", "4101"}, {"DEBUG", "false"}, {"ZIP", "0123"}}},
             {"base_env", Map{{"PATH", "/bin"}, {"PORT", "1"}, {"SHLVL", "2"}}},
             {"instance", 1},
             {"out", "/l/api-out-3.log"},
             {"error", "/l/api-error-3.log"},
             {"log", ""},
             {"pid_path", "/p/api-3.pid"},
             {"exit_code", nullptr},
             {"unique_id", "u"}};
}

}  // namespace

TEST_CASE("a record has the keys that scripts read, with PM2's types") {
  const Value r = pm2::record(row(), "1.2.3");
  CHECK(r.at("pid").integer() == 77);
  CHECK(r.at("name").text() == "api");
  CHECK(r.at("pm_id").integer() == 3);
  CHECK(r.at("monit").at("memory").integer() == 4096);
  CHECK(r.at("monit").at("cpu").number() == 1.5);
  const Value& e = r.at("pm2_env");
  CHECK(e.at("status").text() == "online");
  CHECK(e.at("exec_mode").text() == "cluster_mode");
  CHECK(e.at("pm_exec_path").text() == "/srv/api.js");
  CHECK(e.at("max_memory_restart").integer() == int64_t{1} << 30);
  CHECK(e.at("kill_timeout").integer() == 3000);
  CHECK(e.at("NODE_APP_INSTANCE").integer() == 1);
  CHECK(e.at("pm_uptime").integer() == 2000);
  CHECK(e.at("version").text() == "1.2.3");
  CHECK(e.at("pm_out_log_path").text() == "/l/api-out-3.log");
  CHECK(e.at("treekill").boolean());
  CHECK(e.at("watch") == Value(false));
}

TEST_CASE("keys without a value stay away") {
  const Value e = pm2::record(row(), "").at("pm2_env");
  for (const char* key :
       {"args", "exit_code", "pm_log_path", "node_version", "_tree_pids", "listen_timeout"}) {
    CAPTURE(key);
    CHECK(e.map().find(key) == nullptr);
  }
  CHECK(e.at("version").text() == "N/A");
}

TEST_CASE("variables are flattened; the file's win and numbers of the file stay numbers") {
  const Value e = pm2::record(row(), "").at("pm2_env");
  CHECK(e.at("PATH").text() == "/bin");
  CHECK(e.at("PORT") == Value(4101));
  CHECK(e.at("DEBUG") == Value(false));
  CHECK(e.at("ZIP") == Value("0123"));
  CHECK(e.at("SHLVL") == Value("2"));
  CHECK(e.at("env").at("PORT") == Value(4101));
  CHECK(e.at("env").at("unique_id").text() == "u");
}

TEST_CASE("a variable cannot pass itself off as part of the record") {
  Value r = row();
  r.as<Map>()->set("base_env", Map{{"status", "fine"}, {"pm_id", "9"}});
  const Value e = pm2::record(r, "").at("pm2_env");
  CHECK(e.at("status").text() == "online");
  CHECK(e.at("pm_id").integer() == 3);
}

TEST_CASE("an app that does not run has no use of cpu and memory") {
  Value r = row();
  r.as<Map>()->set("status", "stopped");
  CHECK(pm2::record(r, "").at("monit") == Value(Map{{"memory", 0}, {"cpu", 0}}));
}

TEST_CASE("the version is that of the nearest package.json above the script") {
  char dir[] = "/tmp/tend-version-XXXXXX";
  REQUIRE(mkdtemp(dir) != nullptr);
  const std::string root = dir;
  REQUIRE(mkdir((root + "/a").c_str(), 0700) == 0);
  std::ofstream(root + "/package.json") << R"({"version": "4.5.6"})";
  CHECK(pm2::package_version(root + "/a/app.js") == "4.5.6");
  std::ofstream(root + "/a/package.json") << "{}";
  CHECK(pm2::package_version(root + "/a/app.js") == "");
  unlink((root + "/a/package.json").c_str());
  unlink((root + "/package.json").c_str());
  rmdir((root + "/a").c_str());
  rmdir(dir);
}
