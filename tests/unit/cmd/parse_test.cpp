#include <doctest/doctest.h>

#include "cmd/tend/command.h"
#include "cmd/tend/parse.h"
#include "core/model/options.h"

using namespace tend;
using tend::cli::parse;

TEST_CASE("flags may stand anywhere, and everything after a bare -- belongs to the app") {
  const auto a =
      parse({"--name", "x", "start", "-i", "2", "npm", "--", "run", "start", "--", "-p", "3000"}, false);
  REQUIRE(a);
  CHECK(a->command == "start");
  CHECK(a->words == std::vector<std::string>{"npm"});
  CHECK(a->flags.name == "x");
  CHECK(a->flags.args == StringList{"run", "start", "--", "-p", "3000"});
  CHECK(a->flags.given[index_of(*find_option("name"))]);
  CHECK_FALSE(a->flags.given[index_of(*find_option("cwd"))]);
}

TEST_CASE("a value may be joined, and a negative number is a value") {
  const auto a = parse({"start", "app.js", "--name=y", "-i", "-1"}, true);
  REQUIRE(a);
  CHECK(a->flags.name == "y");
  CHECK(a->words == std::vector<std::string>{"app.js"});
}

TEST_CASE("an unknown option is an error that names the nearest one") {
  const auto a = parse({"start", "app.js", "--exec-mod", "fork"}, false);
  REQUIRE_FALSE(a);
  CHECK(a.error().message == "unknown option --exec-mod; did you mean --exec-mode?");
  CHECK(a.error().pm2_text == "\nerror: unknown option `--exec-mod'\n");
}

TEST_CASE("a wrong value names the flag, what was found and what is accepted") {
  const auto a = parse({"start", "app.js", "--exec-mode", "clutser"}, false);
  REQUIRE_FALSE(a);
  CHECK(a.error().message.find("--exec-mode: found ") == 0);
  CHECK(a.error().message.find("fork|cluster") != std::string::npos);
  CHECK_FALSE(parse({"logs", "--lines", "many"}, false));
  CHECK_FALSE(parse({"logs", "--lines", "1000001"}, false));
  CHECK_FALSE(parse({"list", "--timeout", "soon"}, false));
  CHECK_FALSE(parse({"start", "a.js", "--name"}, false));
}

TEST_CASE("--watch does not eat the script that follows it") {
  const auto a = parse({"start", "--watch", "/proc/version"}, true);
  REQUIRE(a);
  CHECK(a->words == std::vector<std::string>{"/proc/version"});
  CHECK(a->flags.watch == Value(true));
}

TEST_CASE("a bare number of --watch-delay is seconds, everywhere else milliseconds") {
  const auto a =
      parse({"start", "a.js", "--watch-delay", "4", "--kill-timeout", "4", "--listen-timeout", "4s"}, false);
  REQUIRE(a);
  CHECK(a->flags.watch_delay == Millis{4000});
  CHECK(a->flags.kill_timeout == Millis{4});
  CHECK(a->flags.listen_timeout == Millis{4000});
}

TEST_CASE("a --no- flag turns its option off") {
  const auto a = parse({"start", "a.js", "--no-autorestart", "--no-treekill"}, false);
  REQUIRE(a);
  CHECK_FALSE(a->flags.autorestart);
  CHECK_FALSE(a->flags.treekill);
}

TEST_CASE("the names of --only are trimmed, the last of a repeated option wins") {
  const auto a = parse({"start", "f.json", "--only", "a, c", "--name", "x", "--name", "y"}, true);
  REQUIRE(a);
  CHECK(a->only == std::vector<std::string>{"a", "c"});
  CHECK(a->flags.name == "y");
}

TEST_CASE("as pm2 the word log means logs") { CHECK(parse({"log", "x"}, true)->command == "logs"); }

TEST_CASE("no two flags share a name") {
  std::vector<std::string> seen;
  for (const auto& row : cli::flag_rows()) {
    std::string name;
    for (const char c : row.names + ",") {
      if (c != ',') {
        name += c;
        continue;
      }
      CAPTURE(name);
      CHECK(std::find(seen.begin(), seen.end(), name) == seen.end());
      seen.push_back(name);
      name.clear();
    }
  }
}

TEST_CASE("each command is found by its name and each alias, and no word means two") {
  std::vector<std::string> words;
  for (const auto group : cli::groups()) {
    for (const auto& c : group) {
      CHECK(cli::find_command(c.name) == &c);
      words.emplace_back(c.name);
    }
  }
  for (const char* alias :
       {"ls", "l", "ps", "status", "del", "desc", "info", "show", "log", "dump", "startOrGracefulReload"}) {
    CAPTURE(alias);
    CHECK(cli::find_command(alias) != nullptr);
    CHECK(std::find(words.begin(), words.end(), alias) == words.end());
  }
}
