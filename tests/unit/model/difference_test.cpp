#include "core/model/difference.h"

#include <doctest/doctest.h>

#include "core/model/options.h"

using namespace tend;
using Kind = AppDifference::Kind;

namespace {

AppSpec spec(const std::string& name, const std::string& script = "/srv/a.js") {
  AppSpec s;
  s.name = name;
  s.script = script;
  s.env = {{"A", "1"}};
  s.source = "/srv/eco.json";
  return s;
}

PresentApp present(AppSpec s, std::vector<uint32_t> ids = {0}) {
  PresentApp app;
  app.spec = std::move(s);
  app.ids = std::move(ids);
  app.since = 1000;
  return app;
}

std::vector<AppDifference> compare(const std::vector<PresentApp>& now, const std::vector<AppSpec>& wanted,
                                   std::string_view source = "/srv/eco.json") {
  std::vector<WantedApp> apps;
  for (const AppSpec& s : wanted) apps.push_back({s, 0});
  return differences(now, apps, source);
}

}  // namespace

TEST_CASE("an app that is as the file says differs in nothing, whoever gave the value") {
  AppSpec given = spec("a");
  given.given.set(index_of(*find_option("kill_timeout")));
  given.extra = Map{{"env_production", Map{{"A", "2"}}}};
  given.source = "/elsewhere.json";
  const auto found = compare({present(spec("a"))}, {given});
  REQUIRE(found.size() == 1);
  CHECK(found[0].none());
}

TEST_CASE("a changed option, a changed, a new and a removed variable are each a field") {
  AppSpec now = spec("a");
  now.env = {{"A", "1"}, {"GONE", "x"}};
  AppSpec then = spec("a");
  then.kill_timeout = Millis{5000};
  then.env = {{"A", "2"}, {"NEW", "y"}};
  const auto found = compare({present(now)}, {then});
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == Kind::changed);
  REQUIRE(found[0].fields.size() == 4);
  CHECK(found[0].fields[0].field == "kill_timeout");
  CHECK(found[0].fields[0].before == Value(1600));
  CHECK(found[0].fields[0].after == Value(5000));
  CHECK(found[0].fields[1].field == "env.A");
  CHECK(found[0].fields[2].field == "env.GONE");
  CHECK(found[0].fields[2].after.is_null());
  CHECK(found[0].fields[3].field == "env.NEW");
  CHECK(found[0].fields[3].before.is_null());
}

TEST_CASE("the order of variables is no difference") {
  AppSpec now = spec("a"), then = spec("a");
  now.env = {{"A", "1"}, {"B", "2"}};
  then.env = {{"B", "2"}, {"A", "1"}};
  CHECK(compare({present(now)}, {then})[0].none());
}

TEST_CASE("another number of instances is no change of the app, and counts what runs") {
  AppSpec then = spec("a");
  then.instances = 3;
  const auto found = compare({present(spec("a"), {4, 5})}, {then});
  CHECK(found[0].kind == Kind::same);
  CHECK(found[0].before == 2);
  CHECK(found[0].after == 3);
  CHECK_FALSE(found[0].none());
}

TEST_CASE("a merge_logs that nobody gave is no difference, a given one is") {
  AppSpec then = spec("a");
  then.merge_logs = true;
  CHECK(compare({present(spec("a"))}, {then})[0].none());
  then.given.set(index_of(*find_option("merge_logs")));
  CHECK(compare({present(spec("a"))}, {then})[0].kind == Kind::changed);
}

TEST_CASE("what a slot is born with makes a new one") {
  AppSpec then = spec("a");
  then.uid = "nobody";
  CHECK(compare({present(spec("a"))}, {then})[0].kind == Kind::recreated);
}

TEST_CASE("only what this very file had started counts as removed from it") {
  AppSpec other = spec("other");
  other.source = "/srv/other.json";
  AppSpec by_hand = spec("by hand");
  by_hand.source = "";
  const std::vector<PresentApp> now = {present(spec("a"), {0}), present(spec("gone"), {1}),
                                       present(other, {2}), present(by_hand, {3})};
  const auto found = compare(now, {spec("a")});
  REQUIRE(found.size() == 2);
  CHECK(found[0].none());
  CHECK(found[1].kind == Kind::removed);
  CHECK(found[1].ids == std::vector<uint32_t>{1});
  CHECK(compare(now, {spec("a")}, "").size() == 1);
}

TEST_CASE("two apps of one name are told apart by their scripts") {
  const std::vector<PresentApp> now = {present(spec("a", "/one.js"), {0}),
                                       present(spec("a", "/two.js"), {1})};
  const auto found = compare(now, {spec("a", "/two.js"), spec("a", "/one.js"), spec("a", "/three.js")});
  REQUIRE(found.size() == 3);
  CHECK(found[0].none());
  CHECK(found[0].ids == std::vector<uint32_t>{1});
  CHECK(found[1].none());
  CHECK(found[2].kind == Kind::added);
}

TEST_CASE("a stopped app is down, one that was to end by itself is not") {
  PresentApp now = present(spec("a"), {0, 1});
  now.down = {1};
  AppSpec two = spec("a");
  two.instances = 2;
  CHECK(compare({now}, {two})[0].down == std::vector<uint32_t>{1});
  now.spec.autorestart = two.autorestart = false;
  CHECK(compare({now}, {two})[0].none());
}

TEST_CASE("an env_file that was written after the start is a change") {
  AppSpec s = spec("a");
  s.env_file = "/srv/.env";
  CHECK(differences({present(s)}, {{s, 999}}, "")[0].none());
  const auto found = differences({present(s)}, {{s, 1001}}, "");
  REQUIRE(found[0].fields.size() == 1);
  CHECK(found[0].fields[0].field == "env_file");
  CHECK(found[0].kind == Kind::changed);
}
