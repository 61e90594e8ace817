#include <doctest/doctest.h>

#include "cmd/pm2/personality.h"
#include "cmd/tend/caller.h"
#include "cmd/tend/log_printer.h"

using namespace tend;

TEST_CASE("ids are shown as PM2 shows them, as texts for a number") {
  CHECK(pm2::applying("restart", "api", List{0, 1}, false) ==
        "[PM2] Applying action restartProcessId on app [api](ids: [ 0, 1 ])\n");
  CHECK(pm2::applying("stop", "0", List{0}, false) ==
        "[PM2] Applying action stopProcessId on app [0](ids: [ '0' ])\n");
  CHECK(pm2::ticked("api", 0, false) == "[PM2] [api](0) ✓\n");
}

TEST_CASE("an unknown word is answered by its kind") {
  CHECK(pm2::not_found("stop", "x", false) == "[PM2][ERROR] Process or Namespace x not found\n");
  CHECK(pm2::not_found("stop", "all", false) == "[PM2][WARN] No process found\n");
  CHECK(pm2::not_found("stop", "/x/", false) == "[PM2][WARN] No process found\n");
  CHECK(pm2::not_found("delete", "7", false) == "[PM2][ERROR] 7 : id unknown\n");
  CHECK(pm2::not_found("restart", "7", false) == "[PM2][ERROR] God db process id unknown\n");
}

TEST_CASE("an app does not inherit the descriptors that its starter's parent named") {
  cli::Caller caller;
  caller.environment = {{"PATH", "/bin"},
                        {"NODE_CHANNEL_FD", "3"},
                        {"LISTEN_FDS", "1"},
                        {"LISTENER", "yes"},
                        {"TEND_ID", "1.1"}};
  CHECK(caller.env_value() == Value(Map{{"PATH", "/bin"}, {"LISTENER", "yes"}}));
}

TEST_CASE("each name has a home of its own and does not read the other's variable") {
  cli::Caller caller;
  caller.user_home = "/home/u";
  caller.cwd = "/w";
  caller.environment = {{"PM2_HOME", "rel/"}};
  CHECK(cli::home_of(caller, true).dir == "/w/rel");
  CHECK(cli::home_of(caller, false).dir == "/home/u/.tend");
  caller.environment = {{"TEND_HOME", "/t"}};
  CHECK(cli::home_of(caller, true).dir == "/home/u/.pm2");
  CHECK(cli::home_of(caller, false).dir == "/t");
}

TEST_CASE("a log line has its label cut or padded in front") {
  const cli::LogSource source{"/l", "0|a-long-name", "a-long-name", 0, true, render::Ink::red};
  CHECK(cli::tail_line(source, "text", 10, {}) == "0|a-long-… | text\n");
  CHECK(cli::tail_line(source, "text", 15, {}) == "0|a-long-name   | text\n");
  cli::LogStyle raw;
  raw.raw = true;
  CHECK(cli::tail_line(source, "text", 10, raw) == "text\n");
  cli::LogStyle json;
  json.json = true;
  CHECK(cli::stream_line(source, "te\"xt", 10, json, 1000) ==
        "{\"message\":\"te\\\"xt\",\"timestamp\":\"1970-01-01T00:00:01.000Z\",\"type\":\"err\",\"process_"
        "id\":0,\"app_name\":\"a-long-name\"}\n");
}
