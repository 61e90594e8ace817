#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "tests/unit/lifecycle/driver.h"

namespace tend::lifecycle {
namespace {

TEST_CASE("a start spawns, and exec makes it online unless ready is awaited") {
  Driver d;
  CHECK(d.feed(Start{}) == Phase::launching);
  REQUIRE(d.did<Spawn>());
  CHECK(d.did<Spawn>()->spawn == 1);
  CHECK(!d.did<Arm>());
  CHECK(d.state.restarts == 0);
  CHECK(d.state.created == d.now);
  CHECK(d.feed(Spawned{1}, 40) == Phase::online);
  CHECK(d.state.since == d.now);

  Driver w;
  w.policy.wait_ready = true;
  w.feed(Start{});
  REQUIRE(w.did<Arm>());
  CHECK(w.did<Arm>()->timer == Timer::ready);
  CHECK(w.did<Arm>()->at == w.now + w.policy.ready);
  CHECK(w.feed(Spawned{1}, 5) == Phase::launching);
  CHECK(w.feed(Ready{1}, 5) == Phase::online);
  CHECK(w.feed(Fired{1, Timer::ready}, 5000) == Phase::online);
}

TEST_CASE("with the defaults an app that crashes at start ends errored after 15 restarts") {
  Driver d;
  d.run();
  int exits = 0;
  while (d.state.phase != Phase::errored && exits < 100) {
    d.feed(Spawned{d.state.spawn}, 1);
    d.crash(20);
    ++exits;
  }
  CHECK(exits == 16);
  CHECK(d.state.restarts == 15);
  CHECK(d.state.created == Millis{-1});
  CHECK(d.state.unstable == 0);
  CHECK(!d.state.wanted);
  CHECK(d.state.cause == Cause::crash);
}

TEST_CASE("max_restarts 0 is errored at the first exit, even a late one") {
  Driver d;
  d.policy.max_restarts = 0;
  d.run();
  CHECK(d.crash(3600000) == Phase::errored);
}

TEST_CASE("crashes outside the window or after min_uptime never count") {
  Driver slow;
  slow.run();
  for (int i = 0; i < 40; ++i) {
    CHECK(slow.crash(2000) == Phase::launching);
    slow.feed(Spawned{slow.state.spawn}, 1);
  }
  CHECK(slow.state.unstable == 0);
  CHECK(slow.state.restarts == 40);

  Driver late;
  late.run();
  late.crash(20000);  // beyond 16 x 1000 ms since it was created
  for (int i = 0; i < 40; ++i) {
    late.feed(Spawned{late.state.spawn}, 1);
    CHECK(late.crash(10) == Phase::launching);
  }
  CHECK(late.state.unstable == 0);
}

TEST_CASE("uptime is measured from exec to exit, not to the end of its tree") {
  Driver d;
  d.feed(Start{});
  d.feed(Spawned{1}, 900);  // a slow exec is no uptime
  d.feed(Exited{1, exit_code(1)}, 200);
  d.feed(TreeGone{1}, 5000);  // nor is a slow sweep
  CHECK(d.state.unstable == 1);
}

TEST_CASE("a clean exit is restarted too, and at once") {
  Driver d;
  d.run();
  CHECK(d.feed(Exited{1, exit_code(0)}, 5000) == Phase::sweeping);
  CHECK(d.did<SweepTree>());
  CHECK(!d.did<Spawn>());
  CHECK(d.feed(TreeGone{1}) == Phase::launching);
  CHECK(d.did<Spawn>()->spawn == 2);
  CHECK(d.state.restarts == 1);
  CHECK(d.state.cause == Cause::exited);
}

TEST_CASE("without treekill an exit is judged at once and a stop awaits no tree") {
  Driver d;
  d.policy.treekill = false;
  d.run();
  CHECK(d.feed(Exited{1, exit_code(1)}, 5000) == Phase::launching);
  CHECK(!d.did<SweepTree>());
  d.feed(Stop{});
  CHECK(d.feed(Exited{2, SIGINT}) == Phase::stopped);
  CHECK(!d.did<AwaitTree>());
}

TEST_CASE("autorestart off and stop codes end in stopped, a signal is no code") {
  Driver off;
  off.policy.autorestart = false;
  off.run();
  CHECK(off.crash() == Phase::stopped);
  CHECK(!off.state.wanted);

  Driver d;
  d.policy.stop_codes.set(0).set(42);
  d.run();
  CHECK(d.crash(1, exit_code(7)) == Phase::launching);
  d.feed(Spawned{2});
  CHECK(d.crash(1, SIGKILL) == Phase::launching);
  d.feed(Spawned{3});
  CHECK(d.crash(1, kStatusUnknown) == Phase::launching);
  CHECK(d.state.cause == Cause::keeper_lost);
  CHECK(!d.state.has_exit);
  d.feed(Spawned{4});
  CHECK(d.crash(1, exit_code(42)) == Phase::stopped);
}

TEST_CASE("restart_delay waits, then counts the restart") {
  Driver d;
  d.policy.restart_delay = Millis{700};
  d.run();
  CHECK(d.crash() == Phase::waiting);
  CHECK(d.state.due == d.now + Millis{700});
  CHECK(d.state.restarts == 0);
  REQUIRE(d.did<Arm>());
  CHECK(d.did<Arm>()->timer == Timer::restart);
  CHECK(d.feed(Fired{1, Timer::restart}, 700) == Phase::launching);
  CHECK(d.state.restarts == 1);
  CHECK(d.state.due == Millis{-1});
}

TEST_CASE("the exponential delay grows by half, rounded down, to 15 s, and wins over restart_delay") {
  Driver d;
  d.policy.exp_backoff = Millis{100};
  d.policy.restart_delay = Millis{7};
  d.run();
  std::vector<int64_t> delays;
  for (int i = 0; i < 16; ++i) {
    REQUIRE(d.crash() == Phase::waiting);
    delays.push_back((d.state.due - d.now).n);
    d.feed(Fired{d.state.spawn, Timer::restart}, delays.back());
    d.feed(Spawned{d.state.spawn});
  }
  CHECK(delays == std::vector<int64_t>{100, 150, 225, 337, 505, 757, 1135, 1702, 2553, 3829, 5743, 8614,
                                       12921, 15000, 15000, 15000});
  CHECK(d.did<Arm>()->timer == Timer::stable);
  d.feed(Fired{d.state.spawn, Timer::stable}, 30000);
  d.crash();
  CHECK(d.state.backoff == Millis{100});
}

TEST_CASE("a stop signals, kills after the time-out, then reports it stuck and goes on killing") {
  Driver d;
  d.policy.stop_signal = SIGTERM;
  d.run();
  CHECK(d.feed(Stop{}, 10) == Phase::stopping);
  CHECK(d.did<SignalTree>()->number == SIGTERM);
  CHECK(d.state.kill_due == d.now + d.policy.kill);
  d.feed(Stop{}, 10);
  CHECK(d.last.count == 0);
  d.feed(Fired{1, Timer::kill}, 1590);
  CHECK(d.did<SignalTree>()->number == SIGKILL);
  CHECK(!d.did<Stuck>());
  for (int i = 0; i < 3; ++i) {
    CHECK(d.feed(Fired{1, Timer::kill}, 1600) == Phase::stopping);
    CHECK(d.did<Stuck>());
    CHECK(d.did<SignalTree>()->number == SIGKILL);
    CHECK(d.did<Arm>()->at == d.now + d.policy.kill);
  }
  d.feed(Exited{1, SIGKILL}, 5);
  CHECK(d.did<AwaitTree>());
  CHECK(d.feed(TreeGone{1}) == Phase::stopped);
  REQUIRE(d.did<Cancel>());
  CHECK(d.did<Cancel>()->timer == Timer::kill);
  CHECK(d.state.last_status == SIGKILL);
  CHECK(d.state.kill_due == Millis{-1});
  CHECK(!d.did<Spawn>());
}

TEST_CASE("an empty tree before the exit of the main process does not end a stop") {
  Driver d;
  d.run();
  d.feed(Restart{});
  CHECK(d.feed(TreeGone{1}) == Phase::stopping);
  CHECK(d.last.count == 0);
}

TEST_CASE("a kill time-out of 0 does not kill in a hot loop") {
  Driver d;
  d.policy.kill = Millis{0};
  d.run();
  d.feed(Stop{});
  d.feed(Fired{1, Timer::kill});
  CHECK(d.did<Arm>()->at >= d.now + Millis{100});
}

TEST_CASE("a restart stops first, counts and forgets failures; a stop in between wins") {
  Driver d;
  d.run();
  d.crash(10);
  d.feed(Spawned{2});
  CHECK(d.state.unstable == 1);
  CHECK(d.feed(Restart{Cause::memory}, 10) == Phase::stopping);
  CHECK(!d.did<Spawn>());
  CHECK(d.die() == Phase::launching);
  CHECK(d.state.restarts == 2);
  CHECK(d.state.unstable == 0);
  CHECK(d.state.created == d.now);
  CHECK(d.state.cause == Cause::memory);

  d.feed(Spawned{3});
  d.feed(Restart{});
  d.feed(Stop{});
  CHECK(d.die() == Phase::stopped);
  CHECK(d.state.spawn == 3);
}

TEST_CASE("a start while it stops starts it again after its death") {
  Driver d;
  d.run();
  d.feed(Stop{});
  CHECK(d.feed(Start{}) == Phase::stopping);
  CHECK(d.last.count == 0);
  CHECK(d.die() == Phase::launching);
  CHECK(d.state.wanted);
}

TEST_CASE("requests while the tree is swept decide what follows") {
  Driver d;
  d.policy.autorestart = false;
  d.run();
  d.feed(Exited{1, exit_code(1)});
  CHECK(d.feed(Restart{}) == Phase::sweeping);
  CHECK(d.feed(TreeGone{1}) == Phase::launching);
  d.feed(Spawned{2});
  d.feed(Exited{2, exit_code(1)});
  d.feed(Restart{});
  d.feed(Stop{});
  CHECK(d.feed(TreeGone{2}) == Phase::stopped);
  CHECK(d.state.cause == Cause::user);
}

TEST_CASE("starting a dead one counts no restart") {
  Driver d;
  d.run();
  d.feed(Stop{});
  d.die();
  d.feed(Start{});
  CHECK(d.state.restarts == 0);
  d.feed(Spawned{2});
  d.feed(Stop{});
  d.die();
  CHECK(d.feed(Restart{Cause::cron}) == Phase::launching);
  CHECK(d.state.restarts == 0);
}

TEST_CASE("a request to one that waits acts at once and cancels the timer") {
  for (const Event& e : {Event{Start{}}, Event{Restart{}}, Event{Stop{}}}) {
    Driver d;
    d.policy.restart_delay = Millis{500};
    d.run();
    REQUIRE(d.crash() == Phase::waiting);
    const Phase phase = d.feed(e, 10);
    CHECK(phase == (e.index() == 1 ? Phase::stopped : Phase::launching));
    CHECK(d.did<Cancel>()->timer == Timer::restart);
    CHECK(d.state.due == Millis{-1});
    CHECK(d.feed(Fired{1, Timer::restart}, 490) == phase);
    CHECK(!d.did<Spawn>());
  }
}

TEST_CASE("not ready in time is errored without a restart, or online where that is the rule") {
  Driver d;
  d.policy.wait_ready = true;
  d.run();
  CHECK(d.feed(Fired{1, Timer::ready}, 3000) == Phase::stopping);
  CHECK(d.did<SignalTree>()->number == SIGINT);
  CHECK(d.die() == Phase::errored);
  CHECK(d.state.cause == Cause::not_ready);
  CHECK(!d.state.wanted);

  Driver stopped = d;
  stopped.run();
  stopped.feed(Fired{2, Timer::ready}, 3000);
  stopped.feed(Stop{});
  CHECK(stopped.die() == Phase::stopped);

  Driver again = d;
  again.run();
  again.feed(Fired{2, Timer::ready}, 3000);
  again.feed(Start{});
  CHECK(again.die() == Phase::launching);

  d.policy.ready_timeout_is_online = true;
  d.run();
  CHECK(d.feed(Fired{2, Timer::ready}, 3000) == Phase::online);
}

TEST_CASE("a failed exec is final for who asked, and retried with a delay for one that ran") {
  Driver d;
  d.feed(Start{});
  CHECK(d.feed(SpawnFailed{1}) == Phase::errored);
  CHECK(d.state.cause == Cause::spawn_failed);
  CHECK(!d.state.wanted);

  d.run();
  d.crash(5000);
  CHECK(d.feed(SpawnFailed{3}) == Phase::waiting);  // unstable: 1
  CHECK(d.state.due == d.now + Millis{200});
  for (int i = 0; i < 40 && d.state.phase == Phase::waiting; ++i) {
    const int64_t delay = (d.state.due - d.now).n;
    CHECK(delay <= kMaxBackoff.n);
    CHECK(delay >= 100);
    d.feed(Fired{d.state.spawn, Timer::restart}, delay);
    d.feed(SpawnFailed{d.state.spawn});
  }
  CHECK(d.state.phase == Phase::waiting);  // it left the window: tried for ever, slowly
}

TEST_CASE("a start that the machine has no room for is tried until there is some") {
  Driver d;
  d.policy.max_restarts = 2;
  d.feed(Start{});
  CHECK(d.feed(SpawnFailed{1, true}) == Phase::waiting);
  CHECK(d.state.cause == Cause::starved);
  int64_t former = 0;
  for (int i = 0; i < 20; ++i) {
    REQUIRE(d.state.phase == Phase::waiting);
    const int64_t delay = (d.state.due - d.now).n;
    CHECK(delay >= std::max<int64_t>(former, 100));
    CHECK(delay <= kMaxStarved.n);
    former = delay;
    d.feed(Fired{d.state.spawn, Timer::restart}, delay);
    d.feed(SpawnFailed{d.state.spawn, true});
  }
  CHECK(former == kMaxStarved.n);
  CHECK(d.state.unstable == 0);
  d.feed(Fired{d.state.spawn, Timer::restart}, former);
  CHECK(d.feed(Spawned{d.state.spawn}) == Phase::online);
  d.crash(5000);
  CHECK(d.state.backoff == Millis{0});
  d.feed(Stop{});
  CHECK(d.feed(SpawnFailed{d.state.spawn, true}) == Phase::stopped);
}

TEST_CASE("a failed exec while it is stopped ends the stop") {
  Driver d;
  d.feed(Start{});
  d.feed(Stop{});
  CHECK(d.feed(SpawnFailed{1}) == Phase::stopped);
}

TEST_CASE("reset zeroes the counters and opens a new window for a living one") {
  Driver d;
  d.run();
  d.crash(10);
  d.feed(Reset{}, 100);
  CHECK(d.state.restarts == 0);
  CHECK(d.state.unstable == 0);
  CHECK(d.state.created == d.now);
  CHECK(d.last.count == 0);
}

}  // namespace
}  // namespace tend::lifecycle
