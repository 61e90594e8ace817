#include "core/supervisor/waiters.h"

#include <doctest/doctest.h>

using namespace tend;
using namespace tend::supervisor;
using lifecycle::Phase;

namespace {

struct World {
  EventBus bus;
  Waiters waiters{bus};
  Instance app;
  List outcomes;
  int answers = 0;

  World() {
    auto spec = std::make_shared<AppSpec>();
    spec->name = "api";
    app.spec = spec;
    app.state.phase = Phase::online;
    app.state.wanted = true;
    app.state.spawn = 1;
  }
  void wait(Goal goal) {
    waiters.wait(
        {{0, goal, app.state.spawn, false, "done"}}, [this](uint32_t) { return &app; },
        [this](List got) {
          ++answers;
          outcomes = std::move(got);
        });
  }
  void becomes(Phase phase, uint32_t spawn, std::string_view event = "x") {
    app.state.phase = phase;
    app.state.spawn = spawn;
    bus.publish(event, app, phase, 0);
  }
  bool ok() const { return outcomes.at(0).at("ok").boolean(); }
};

}  // namespace

TEST_CASE("a restart is answered by the new process being online, not by the old one") {
  World w;
  w.wait(Goal::running);
  CHECK(w.answers == 0);
  w.becomes(Phase::stopping, 1);
  w.becomes(Phase::launching, 2);
  CHECK(w.answers == 0);
  w.becomes(Phase::online, 2);
  REQUIRE(w.answers == 1);
  CHECK(w.ok());
}

TEST_CASE("a process that ends before it is online fails the call with its exit") {
  World w;
  w.wait(Goal::running);
  w.app.state.has_exit = true;
  w.app.state.last_status = 3 << 8;
  w.becomes(Phase::sweeping, 2);
  REQUIRE(w.answers == 1);
  CHECK(!w.ok());
  CHECK(w.outcomes.at(0).at("error").text() == "exited with code 3 before it was online");
}

TEST_CASE("a stop is answered when the process is gone") {
  World w;
  w.wait(Goal::stopped);
  w.becomes(Phase::stopping, 1);
  CHECK(w.answers == 0);
  w.becomes(Phase::stopped, 1);
  REQUIRE(w.answers == 1);
  CHECK(w.ok());
}

TEST_CASE("a restart that somebody else's stop overtakes ends instead of waiting for ever") {
  World w;
  w.wait(Goal::running);
  w.app.state.wanted = false;
  w.becomes(Phase::stopping, 1);
  CHECK(w.answers == 0);
  w.becomes(Phase::stopped, 1);
  REQUIRE(w.answers == 1);
  CHECK(!w.ok());
}

TEST_CASE("a deleted instance ends every wait on it") {
  World w;
  w.wait(Goal::removed);
  w.becomes(Phase::stopped, 1);
  CHECK(w.answers == 0);
  w.becomes(Phase::stopped, 1, "delete");
  REQUIRE(w.answers == 1);
  CHECK(w.ok());
}

TEST_CASE("a process that outlives SIGKILL is told of") {
  World w;
  w.wait(Goal::stopped);
  w.waiters.stuck(w.app);
  REQUIRE(w.answers == 1);
  CHECK(!w.ok());
}

TEST_CASE("no wish at all is answered at once") {
  World w;
  int answers = 0;
  w.waiters.wait(
      {}, [](uint32_t) { return nullptr; }, [&](const List&) { ++answers; });
  CHECK(answers == 1);
}
