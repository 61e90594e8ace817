// Reload: a second process of one instance, and every way in which that can end.
#include <doctest/doctest.h>

#include "tests/unit/lifecycle/random_world.h"

namespace tend::lifecycle {
namespace {

using Role = Other::Role;

Driver online(Millis drain = Millis{5000}) {
  Driver d;
  d.policy.await_online = true;
  d.policy.drain = drain;
  d.feed(Start{});
  d.feed(Spawned{1}, 5);
  d.feed(Ready{1}, 5);
  return d;
}

bool signalled(const Driver& d, uint32_t spawn) {
  for (uint8_t i = 0; i < d.last.count; ++i) {
    const auto* s = std::get_if<SignalTree>(&d.last.actions[i]);
    if (s != nullptr && s->spawn == spawn) return true;
  }
  return false;
}

TEST_CASE("the old process serves until its successor is ready, then drains and goes") {
  Driver d = online();
  d.feed(Reload{});
  CHECK(d.state.phase == Phase::launching);
  CHECK(d.did<Spawn>()->spawn == 2);
  CHECK(d.did<Arm>()->timer == Timer::ready);
  CHECK(d.state.other.role == Role::serving);
  CHECK(d.state.other.spawn == 1);
  d.feed(Spawned{2}, 100);
  CHECK(d.state.phase == Phase::launching);
  CHECK_FALSE(signalled(d, 1));
  d.feed(Ready{2}, 100);
  CHECK(d.state.phase == Phase::online);
  CHECK(d.state.reloads == 1);
  CHECK(d.state.restarts == 1);
  CHECK(d.did<Drain>()->spawn == 1);
  CHECK_FALSE(signalled(d, 1));
  d.feed(Exited{1, 0}, 50);
  CHECK(d.did<AwaitTree>()->spawn == 1);
  d.feed(TreeGone{1});
  CHECK(d.state.other.role == Role::none);
  CHECK(d.state.phase == Phase::online);
  CHECK(d.state.spawn == 2);
}

TEST_CASE("a reload keeps the cause that it was asked with, also where it is a restart") {
  Driver d = online();
  d.feed(Reload{Cause::memory});
  d.feed(Spawned{2});
  d.feed(Ready{2});
  CHECK(d.state.cause == Cause::memory);
  Driver stopped;
  stopped.feed(Reload{Cause::cron});
  CHECK(stopped.state.cause == Cause::cron);
}

TEST_CASE("what does not drain is signalled, then killed, then told") {
  Driver d = online();
  d.feed(Reload{});
  d.feed(Spawned{2});
  d.feed(Ready{2});
  d.feed(Fired{1, Timer::drain}, 5000);
  CHECK(d.did<SignalTree>()->number == d.policy.stop_signal);
  d.feed(Fired{1, Timer::drain}, d.policy.kill.n);
  CHECK(d.did<SignalTree>()->number == SIGKILL);
  CHECK(d.did<Stuck>() == nullptr);
  d.feed(Fired{1, Timer::drain}, 1600);
  CHECK(d.did<Stuck>());
  CHECK(d.state.phase == Phase::online);
}

TEST_CASE("Drained brings the signal at once, and only once") {
  Driver d = online();
  d.feed(Reload{});
  d.feed(Spawned{2});
  d.feed(Ready{2});
  d.feed(Drained{1});
  CHECK(signalled(d, 1));
  d.feed(Drained{1});
  CHECK(d.last.count == 0);
}

TEST_CASE("without a time to drain the old one is signalled when the new one is ready") {
  Driver d = online(Millis{0});
  d.feed(Reload{});
  d.feed(Spawned{2});
  d.feed(Ready{2});
  CHECK(signalled(d, 1));
  CHECK(d.did<Drain>() == nullptr);
}

TEST_CASE("a successor that exits, cannot be executed or is not ready leaves the old one as it was") {
  for (const int way : {0, 1, 2}) {
    CAPTURE(way);
    Driver d = online();
    const State before = d.state;
    d.feed(Reload{}, 100);
    if (way != 1) d.feed(Spawned{2});
    if (way == 0) d.feed(Exited{2, exit_code(3)});
    if (way == 1) d.feed(SpawnFailed{2});
    if (way == 2) d.feed(Fired{2, Timer::ready}, d.policy.ready.n);
    CHECK_FALSE(signalled(d, 1));
    CHECK(d.state.phase == Phase::online);
    CHECK(d.state.spawn == 1);
    CHECK(d.state.since == before.since);
    CHECK(d.state.restarts == before.restarts);
    CHECK(d.state.failed_reloads == 1);
    if (way == 2) CHECK(signalled(d, 2));
    if (way == 2) d.feed(Exited{2, SIGINT});
    if (way != 1) d.feed(TreeGone{2});
    CHECK(d.state.other.role == Role::none);
    d.feed(Reload{});  // the next one gets a number of its own
    CHECK(d.did<Spawn>()->spawn == 3);
  }
}

TEST_CASE("the old process may die before its successor is ready") {
  Driver d = online();
  d.feed(Reload{});
  d.feed(Exited{1, SIGKILL});
  CHECK(d.did<SweepTree>()->spawn == 1);
  d.feed(TreeGone{1});
  CHECK(d.state.phase == Phase::launching);
  d.feed(Spawned{2});
  d.feed(Ready{2});
  CHECK(d.state.phase == Phase::online);
  CHECK(d.state.other.role == Role::none);
}

TEST_CASE("an old process that died cannot take its place back") {
  Driver d = online();
  d.feed(Reload{});
  d.feed(Spawned{2});
  d.feed(Exited{1, SIGKILL});
  d.feed(Exited{2, exit_code(1)});
  CHECK(d.state.phase == Phase::sweeping);
  d.feed(TreeGone{2});
  CHECK(d.state.phase == Phase::launching);
  CHECK(d.state.spawn == 3);
}

TEST_CASE("a stop in a reload ends when both processes are gone, in either order") {
  for (const bool old_first : {true, false}) {
    for (const bool restart : {true, false}) {
      Driver d = online();
      d.feed(Reload{});
      d.feed(Spawned{2});
      restart ? d.feed(Restart{}) : d.feed(Stop{});
      CHECK(signalled(d, 1));
      CHECK(signalled(d, 2));
      const uint32_t first = old_first ? 1 : 2;
      d.feed(Exited{first, SIGINT});
      d.feed(TreeGone{first});
      CHECK(d.state.phase == Phase::stopping);
      CHECK(d.did<Spawn>() == nullptr);
      d.feed(Exited{3 - first, SIGINT});
      d.feed(TreeGone{3 - first});
      CHECK(d.state.phase == (restart ? Phase::launching : Phase::stopped));
    }
  }
}

TEST_CASE("a reload of what is not online is a restart; a second one changes nothing") {
  Driver d;
  d.feed(Reload{});
  CHECK(d.state.phase == Phase::launching);
  CHECK(d.state.other.role == Role::none);
  Driver two = online();
  two.feed(Reload{});
  const State before = two.state;
  two.feed(Reload{});
  CHECK(two.state == before);
  CHECK(two.last.count == 0);
}

TEST_CASE("a crash of the new one while the old one drains is an ordinary crash") {
  Driver d = online();
  d.feed(Reload{});
  d.feed(Spawned{2});
  d.feed(Ready{2});
  d.feed(Exited{2, exit_code(1)}, 10);
  CHECK(d.state.phase == Phase::sweeping);
  d.feed(TreeGone{2});
  CHECK(d.state.phase == Phase::launching);
  CHECK(d.state.spawn == 3);
  d.feed(Exited{1, 0});
  d.feed(TreeGone{1});
  CHECK(d.state.other.role == Role::none);
}

TEST_CASE("a stop that drains signals when all is finished, or its time is over") {
  for (const int way : {0, 1, 2, 3}) {
    CAPTURE(way);
    Driver d = online();
    d.feed(Stop{true});
    CHECK(d.state.phase == Phase::stopping);
    CHECK(d.did<Drain>()->spawn == 1);
    CHECK(d.did<Arm>()->at == d.now + Millis{5000});
    CHECK_FALSE(signalled(d, 1));
    if (way == 0) d.feed(Drained{1}, 10);
    if (way == 1) d.feed(Fired{1, Timer::kill}, 5000);
    if (way == 2) d.feed(Stop{}, 10);
    if (way == 3) d.feed(Restart{}, 10);
    CHECK(signalled(d, 1));
    CHECK(d.did<Arm>()->at == d.now + d.policy.kill);
    d.feed(Drained{1});
    CHECK(d.last.count == 0);
    d.feed(Fired{1, Timer::kill}, d.policy.kill.n);
    CHECK(d.did<SignalTree>()->number == SIGKILL);
    d.feed(Exited{1, SIGKILL});
    d.feed(TreeGone{1});
    CHECK(d.state.phase == (way == 3 ? Phase::launching : Phase::stopped));
    CHECK_FALSE(d.state.draining);
  }
}

TEST_CASE("a process that ends while it drains is stopped; one not yet online is signalled at once") {
  Driver d = online();
  d.feed(Stop{true});
  d.feed(Exited{1, 0}, 20);
  d.feed(TreeGone{1});
  CHECK(d.state.phase == Phase::stopped);
  CHECK_FALSE(d.state.draining);
  Driver early;
  early.policy.await_online = true;
  early.policy.drain = Millis{5000};
  early.feed(Start{});
  early.feed(Stop{true});
  CHECK(signalled(early, 1));
}

// A world in which every request of the machine is answered some time later.
struct World : RandomWorld {
  using RandomWorld::RandomWorld;

  void feed(const Event& e) {
    driver.feed(e);
    for (uint8_t i = 0; i < driver.last.count; ++i) answer(driver.last.actions[i]);
    most = std::max(most, live.size());
  }
  void answer(const Action& action) {
    if (const auto* a = std::get_if<Spawn>(&action)) {
      live.insert(a->spawn);
      if (below(10) == 0) return later(SpawnFailed{a->spawn}, below(40));
      const int64_t exec = below(40);
      later(Spawned{a->spawn}, exec);
      if (below(4) != 0) later(Ready{a->spawn}, exec + 1 + below(200));
      if (below(3) == 0) later(Exited{a->spawn, exit_code(1)}, exec + 1 + below(3000));
    } else if (const auto* s = std::get_if<SignalTree>(&action)) {
      if (s->number == SIGKILL || below(3) != 0) later(Exited{s->spawn, s->number}, below(40));
    } else if (const auto* drain = std::get_if<Drain>(&action)) {
      if (below(2) == 0) later(Exited{drain->spawn, 0}, below(300));
      if (below(2) == 0) later(Drained{drain->spawn}, below(300));
    } else {
      answer_machinery(action, 20);
    }
  }
  void run_until(Millis end) {
    while (const auto e = next(end)) {
      const auto* exited = std::get_if<Exited>(&*e);
      const auto* failed = std::get_if<SpawnFailed>(&*e);
      if (exited != nullptr && live.erase(exited->spawn) == 0) continue;
      if (failed != nullptr && live.erase(failed->spawn) == 0) continue;
      feed(*e);
    }
  }

  std::size_t most = 0;
};

TEST_CASE("10,000 random lives with reloads: at most two processes, and a stop ends both for good") {
  std::size_t reloads = 0;
  std::size_t failures = 0;
  for (uint32_t seed = 1; seed <= 10000; ++seed) {
    CAPTURE(seed);
    World w(seed);
    w.driver.policy.treekill = w.below(4) != 0;
    w.driver.policy.await_online = w.below(2) == 0;
    w.driver.policy.wait_ready = w.below(3) == 0;
    w.driver.policy.drain = Millis{w.below(3) * 500};
    w.driver.policy.ready_timeout_is_online = w.below(3) == 0;
    w.driver.policy.ready = Millis{100 + w.below(300)};
    w.feed(Start{});
    for (int i = 0; i < 30; ++i) {
      w.run_until(w.driver.now + Millis{w.below(600)});
      const int64_t what = w.below(10);
      w.feed(what < 7   ? Event{Reload{}}
             : what < 8 ? Event{Restart{}}
             : what < 9 ? Event{Start{}}
                        : Event{Stop{}});
    }
    w.feed(Stop{});
    w.run_until(w.driver.now + Millis{60000});
    REQUIRE(w.live.empty());
    REQUIRE(w.driver.state.phase == Phase::stopped);
    REQUIRE(w.driver.state.other.role == Role::none);
    REQUIRE(w.agenda.empty());
    REQUIRE(w.most <= 2);
    reloads += w.driver.state.reloads;
    failures += w.driver.state.failed_reloads;
  }
  CHECK(reloads > 10000);
  CHECK(failures > 1000);
}

}  // namespace
}  // namespace tend::lifecycle
