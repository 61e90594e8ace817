// EXTEND_TIMEOUT_USEC: the end of a start or a stop is moved, never to a sooner time.
#include <doctest/doctest.h>

#include "tests/unit/lifecycle/driver.h"

namespace tend::lifecycle {
namespace {

Driver launching() {
  Driver d;
  d.policy.wait_ready = true;
  d.feed(Start{});
  d.feed(Spawned{1}, 5);
  return d;
}

TEST_CASE("a start that asks for more time has it, and a new timer, and fails after it") {
  Driver d = launching();
  d.feed(Extend{1, Millis{10000}}, 1000);
  REQUIRE(d.did<Arm>());
  CHECK(d.did<Arm>()->timer == Timer::ready);
  CHECK(d.did<Arm>()->at == d.now + Millis{10000});
  CHECK(d.state.ready_due == d.now + Millis{10000});
  CHECK(d.feed(Fired{1, Timer::ready}, 9999) == Phase::launching);
  CHECK(d.feed(Fired{1, Timer::ready}, 1) == Phase::stopping);
  CHECK(d.state.ready_due == Millis{-1});
}

TEST_CASE("the end of a timer that was on its way when it was moved is no end, and it is armed again") {
  Driver d = launching();
  d.feed(Extend{1, Millis{5000}}, d.policy.ready.n - 6);
  CHECK(d.feed(Fired{1, Timer::ready}, 1) == Phase::launching);
  REQUIRE(d.did<Arm>());
  CHECK(d.did<Arm>()->at == d.state.ready_due);
}

TEST_CASE("no time is made shorter by asking") {
  Driver d = launching();
  const State before = d.state;
  d.feed(Extend{1, Millis{10}});
  CHECK(d.state == before);
  CHECK(d.last.count == 0);
}

TEST_CASE("a start without a deadline has nothing to extend, and an online app neither") {
  Driver d;
  d.feed(Start{});
  State before = d.state;
  d.feed(Extend{1, Millis{60000}});
  CHECK(d.state == before);
  d.feed(Spawned{1});
  before = d.state;
  d.feed(Extend{1, Millis{60000}});
  CHECK(d.state == before);
}

TEST_CASE("a stop that asks for more time is not killed before it is over") {
  Driver d;
  d.run();
  d.feed(Stop{});
  d.feed(Extend{1, Millis{8000}}, 1000);
  CHECK(d.state.kill_due == d.now + Millis{8000});
  d.feed(Fired{1, Timer::kill}, 600);  // the first one's, late
  CHECK(!d.did<SignalTree>());
  d.feed(Fired{1, Timer::kill}, 7400);
  REQUIRE(d.did<SignalTree>());
  CHECK(d.did<SignalTree>()->number == SIGKILL);
  const Millis due = d.state.kill_due;
  d.feed(Extend{1, Millis{60000}});  // too late
  CHECK(d.state.kill_due == due);
}

TEST_CASE("a replaced process may ask for more time, until it is killed") {
  Driver d;
  d.policy.drain = Millis{5000};
  d.run();
  d.feed(Reload{});
  d.feed(Spawned{2}, 5);
  REQUIRE(d.state.other.role == Other::Role::leaving);
  d.feed(Extend{1, Millis{20000}}, 1000);
  REQUIRE(d.did<Arm>());
  CHECK(d.did<Arm>()->spawn == 1);
  CHECK(d.did<Arm>()->timer == Timer::drain);
  CHECK(d.state.other.due == d.now + Millis{20000});
  d.feed(Fired{1, Timer::drain}, 4000);
  CHECK(d.state.other.stage == Other::Stage::draining);
  d.feed(Fired{1, Timer::drain}, 16000);
  CHECK(d.state.other.stage == Other::Stage::signalled);
}

TEST_CASE("an end without a status is no crash and no stop code, and is counted like any other") {
  Driver d;
  d.policy.stop_codes.set(0);
  d.run();
  CHECK(d.crash(10, kStatusForked) == Phase::launching);
  CHECK(d.state.cause == Cause::exited);
  CHECK(!d.state.has_exit);
  CHECK(d.state.unstable == 1);
}

}  // namespace
}  // namespace tend::lifecycle
