#include "core/supervisor/triggers.h"

#include <doctest/doctest.h>

using namespace tend;
using namespace tend::supervisor;

namespace {

struct World {
  loop::Loop loop;
  Triggers triggers{loop};
  List items;
  struct Answer {
    List replies, silent;
  };
  std::vector<Answer> answers;

  uint64_t ask(std::string action, std::vector<Triggers::Asked> whom, Millis limit = {},
               std::string uuid = "u") {
    return triggers.wait(
        {std::move(action), std::move(uuid), std::move(whom), [this](Value v) { items.push_back(v); },
         [this](List replies, List silent) {
           answers.push_back({replies, silent});
         }},
        limit);
  }
  void say(uint32_t id, std::string_view type, Map data) {
    triggers.heard(id, 1, Map{{"type", type}, {"data", std::move(data)}});
  }
  void reply(uint32_t id, std::string_view action, Value value) {
    say(id, "axm:reply", Map{{"action_name", action}, {"return", std::move(value)}});
  }
};

Triggers::Asked app(uint32_t id, bool scoped = false) { return {id, 1, "api", "default", scoped}; }

}  // namespace

TEST_CASE("a trigger is answered when each process has replied to that action, and once") {
  World w;
  w.ask("a", {app(0), app(1)});
  w.reply(0, "b", 1);
  w.reply(2, "a", 2);
  w.reply(0, "a", 3);
  w.reply(0, "a", 4);
  CHECK(w.answers.empty());
  w.reply(1, "a", Value());
  REQUIRE(w.answers.size() == 1);
  REQUIRE(w.answers[0].replies.size() == 2);
  CHECK(w.answers[0].replies[0] ==
        Value(Map{{"id", 0}, {"name", "api"}, {"namespace", "default"}, {"return", 3}}));
  CHECK(w.answers[0].replies[1].at("return").is_null());
  CHECK(w.items.size() == 2);
  w.reply(1, "a", 5);
  CHECK(w.answers.size() == 1);
}

TEST_CASE("of two who ask the same the first is answered first") {
  World w;
  w.ask("a", {app(0)});
  w.ask("a", {app(0)});
  w.reply(0, "a", 1);
  w.reply(0, "a", 2);
  REQUIRE(w.answers.size() == 2);
  CHECK(w.answers[0].replies[0].at("return").integer() == 1);
  CHECK(w.answers[1].replies[0].at("return").integer() == 2);
}

TEST_CASE("who ends or lets the limit pass is among the silent") {
  World w;
  w.ask("a", {app(0), app(1)}, Millis{10});
  w.triggers.ended(0, 2);  // another process of that instance
  w.triggers.ended(0, 1);
  CHECK(w.answers.empty());
  loop::Timer limit(w.loop, [&] { w.loop.stop(); });
  limit.start(Millis{50});
  w.loop.run();
  REQUIRE(w.answers.size() == 1);
  REQUIRE(w.answers[0].silent.size() == 2);
  CHECK(w.answers[0].silent[0].at("error").text() == "ended before it answered");
  CHECK(w.answers[0].silent[1].at("error").text() == "did not answer");
}

TEST_CASE("nobody to ask is answered at once, and what is forgotten never") {
  World w;
  w.ask("a", {});
  CHECK(w.answers.size() == 1);
  w.triggers.forget(w.ask("a", {app(0)}));
  w.reply(0, "a", 1);
  CHECK(w.answers.size() == 1);
  CHECK(w.items.empty());
}

TEST_CASE("a scoped action ends with its own uuid's end or error") {
  World w;
  w.ask("a", {app(0, true), app(1, true)}, {}, "u1");
  w.say(0, "axm:scoped_action:stream", Map{{"action_name", "a"}, {"uuid", "u2"}, {"data", "other"}});
  w.say(0, "axm:scoped_action:stream", Map{{"action_name", "a"}, {"uuid", "u1"}, {"data", "part"}});
  w.reply(0, "a", "no answer of a scoped one");
  w.say(0, "axm:scoped_action:end", Map{{"action_name", "a"}, {"uuid", "u1"}});
  w.say(1, "axm:scoped_action:error", Map{{"action_name", "a"}, {"uuid", "u1"}, {"data", "bad"}});
  REQUIRE(w.answers.size() == 1);
  CHECK(w.answers[0].replies.size() == 1);
  CHECK(w.answers[0].silent[0].at("error").text() == "failed: bad");
  REQUIRE(w.items.size() == 2);
  CHECK(w.items[0].at("data").text() == "part");
}

TEST_CASE("answers beyond 4 MiB are not kept") {
  World w;
  w.ask("a", {app(0), app(1)});
  w.reply(0, "a", std::string(3u << 20, 'x'));
  w.reply(1, "a", std::string(3u << 20, 'x'));
  REQUIRE(w.answers.size() == 1);
  CHECK(w.answers[0].replies.size() == 1);
  CHECK(w.answers[0].silent.size() == 1);
}
