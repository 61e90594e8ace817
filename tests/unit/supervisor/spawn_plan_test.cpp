#include "core/supervisor/spawn_plan.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace tend;
using namespace tend::supervisor;

namespace {

PlanInput input(AppSpec spec, Env base = {{"PATH", "/usr/bin:/bin"}, {"HOME", "/root"}}) {
  spec.name = "api";
  if (spec.script.empty()) spec.script = "/srv/api.sh";
  if (spec.interpreter.empty()) spec.interpreter = "none";
  if (spec.exec_mode.empty()) spec.exec_mode = "fork";
  PlanInput in;
  in.home.dir = "/home/u/.tend";
  in.id = 3;
  in.spawn = 7;
  in.slot = 1;
  in.spec = std::make_shared<const AppSpec>(std::move(spec));
  in.base_env = std::make_shared<const BaseEnv>(BaseEnv{0, std::move(base)});
  return in;
}

std::string value(const Env& env, std::string_view name) {
  const auto it = std::find_if(env.begin(), env.end(), [&](const auto& e) { return e.first == name; });
  return it == env.end() ? "<none>" : it->second;
}

}  // namespace

TEST_CASE("the file's env wins over the caller's, and tend's own over both") {
  AppSpec spec;
  spec.env = {{"A", "file"}, {"pm_id", "99"}};
  const auto env = environment(input(spec, {{"A", "caller"}, {"B", "caller"}}));
  REQUIRE(env);
  CHECK(value(*env, "A") == "file");
  CHECK(value(*env, "B") == "caller");
  CHECK(value(*env, "pm_id") == "3");
  CHECK(value(*env, "NODE_APP_INSTANCE") == "1");
  CHECK(value(*env, "TEND_ID") == "3.7");
}

TEST_CASE("what belongs to one process does not leak from the caller") {
  const auto env = environment(input(
      {}, {{"NODE_CHANNEL_FD", "9"}, {"NODE_UNIQUE_ID", "1"}, {"LISTEN_FDS", "1"}, {"NOTIFY_SOCKET", "/x"}}));
  REQUIRE(env);
  for (const char* name : {"NODE_CHANNEL_FD", "NODE_UNIQUE_ID", "LISTEN_FDS", "NOTIFY_SOCKET"}) {
    CHECK(value(*env, name) == "<none>");
  }
}

TEST_CASE("filter_env drops inherited names that contain an entry, not the file's own") {
  AppSpec spec;
  spec.filter_env = {"SECRET"};
  spec.env = {{"MY_SECRET", "mine"}};
  const auto env = environment(input(spec, {{"THE_SECRET_KEY", "x"}, {"KEPT", "y"}}));
  REQUIRE(env);
  CHECK(value(*env, "THE_SECRET_KEY") == "<none>");
  CHECK(value(*env, "KEPT") == "y");
  CHECK(value(*env, "MY_SECRET") == "mine");
}

TEST_CASE("inherit_env false leaves only what a program cannot do without") {
  AppSpec spec;
  spec.inherit_env = false;
  const auto env = environment(input(spec, {{"PATH", "/bin"}, {"CANARY", "x"}}));
  REQUIRE(env);
  CHECK(value(*env, "PATH") == "/bin");
  CHECK(value(*env, "CANARY") == "<none>");
}

TEST_CASE(
    "what a former process stored is passed after the sockets, with its names, and Node's channel follows") {
  AppSpec spec;
  spec.interpreter = "node";
  spec.listen = {"8080", "8081"};
  PlanInput in = input(spec);
  in.stored = {{0, "one", true, nullptr}, {4, "two", true, nullptr}};
  const auto env = environment(in);
  REQUIRE(env);
  CHECK(value(*env, "LISTEN_FDS") == "4");
  CHECK(value(*env, "LISTEN_FDNAMES") == "api:api:one:two");
  CHECK(value(*env, "LISTEN_PID") == "");
  CHECK(value(*env, "NODE_CHANNEL_FD") == "7");
  CHECK(value(*env, "WATCHDOG_USEC") == "<none>");
}

TEST_CASE("an app that is no Node is told how long its watchdog may be silent, unless nobody listens") {
  AppSpec spec;
  spec.heartbeat_interval = Millis{2000};
  spec.heartbeat_misses = 4;
  auto env = environment(input(spec));
  REQUIRE(env);
  CHECK(value(*env, "WATCHDOG_USEC") == "8000000");
  CHECK(value(*env, "WATCHDOG_PID") == "");
  PlanInput pm2 = input(spec);
  pm2.home.pm2 = true;
  spec.heartbeat = "off";
  for (const PlanInput& in : {pm2, input(spec)}) {
    env = environment(in);
    REQUIRE(env);
    CHECK(value(*env, "WATCHDOG_USEC") == "<none>");
    CHECK(value(*env, "WATCHDOG_PID") == "<none>");
  }
}

TEST_CASE("an interpreter is searched in the app's own PATH and put before its arguments") {
  AppSpec spec;
  spec.interpreter = "sh";
  spec.node_args = {"-e"};
  spec.args = {"x", "y z"};
  const auto request = plan(input(spec, {{"PATH", "/nowhere:/bin"}}));
  REQUIRE(request);
  CHECK(request->path == "/bin/sh");
  CHECK(request->argv == std::vector<std::string>{"sh", "-e", "/srv/api.sh", "x", "y z"});
}

TEST_CASE("a missing interpreter is an error that names it") {
  AppSpec spec;
  spec.interpreter = "no-such-thing";
  const auto request = plan(input(spec));
  REQUIRE(!request);
  CHECK(request.error().message.find("no-such-thing") != std::string::npos);
}

TEST_CASE("only an interpreter of exactly that name is node") {
  AppSpec spec;
  spec.interpreter = "/opt/node/bin/node";
  CHECK(speaks_node_channel(spec));
  spec.interpreter = "/home/node/python3";
  CHECK(!speaks_node_channel(spec));
  spec.interpreter = "ts-node";
  CHECK(!speaks_node_channel(spec));
}

TEST_CASE("the channel is given to what is Node by another name, to awaited shell scripts, and where it is asked for") {
  const auto given = [](std::string interpreter, bool wait_ready = false, bool channel = false) {
    AppSpec spec;
    spec.interpreter = std::move(interpreter);
    spec.wait_ready = wait_ready;
    spec.channel = channel;
    const auto env = environment(input(spec));
    REQUIRE(env);
    return value(*env, "NODE_CHANNEL_FD") == "3";
  };
  CHECK(given("node"));
  CHECK(given("/opt/x/ts-node"));
  CHECK(given("bash", true));
  CHECK(given("python3", false, true));
  CHECK(!given("bash"));
  CHECK(!given("python3", true));
  CHECK(!given("none", true));
  CHECK(!given("bun"));
}

TEST_CASE("an entry of filter_env that begins with = is one whole name") {
  AppSpec spec;
  spec.filter_env = {"=KEY"};
  const auto env = environment(input(spec, {{"KEY", "x"}, {"MY_KEY", "y"}}));
  REQUIRE(env);
  CHECK(value(*env, "KEY") == "<none>");
  CHECK(value(*env, "MY_KEY") == "y");
}

TEST_CASE("the layers of an environment are those of the process, in the order in which they win") {
  AppSpec spec;
  spec.env = {{"A", "file"}};
  const PlanInput in = input(spec, {{"A", "caller"}, {"B", "caller"}});
  const auto layers = environment_layers(in);
  REQUIRE(layers);
  REQUIRE(layers->size() == 3);
  CHECK(layers->at(0).from == Layer::From::caller);
  CHECK(layers->at(1).from == Layer::From::env);
  CHECK(layers->at(2).from == Layer::From::tend);
  CHECK(value(layers->at(0).env, "A") == "caller");
  CHECK(value(layers->at(1).env, "A") == "file");
  CHECK(value(layers->at(2).env, "TEND_ID") == "3.7");
  CHECK(value(*environment(in), "A") == "file");
}
