// The end of a process that is alive but not well.
#include <doctest/doctest.h>

#include "tests/unit/lifecycle/driver.h"

namespace tend::lifecycle {
namespace {

Driver online() {
  Driver d;
  d.run();
  return d;
}

TEST_CASE("a condemned process is signalled at once and its successor has the reason for its cause") {
  Driver d = online();
  d.feed(Condemn{1, Cause::heartbeat, SIGKILL}, 5000);
  REQUIRE(d.did<SignalTree>());
  CHECK(d.did<SignalTree>()->number == SIGKILL);
  CHECK(d.state.phase == Phase::online);
  CHECK(d.crash(1, SIGKILL) == Phase::launching);
  CHECK(d.state.spawn == 2);
  CHECK(d.state.cause == Cause::heartbeat);
  CHECK(d.state.hangs == 1);
  CHECK(d.state.restarts == 1);
  CHECK(d.state.condemned == Cause::none);
}

TEST_CASE(
    "one that outlives its signal gets SIGKILL after kill_timeout, and is told as stuck after the second") {
  Driver d = online();
  d.feed(Condemn{1, Cause::heartbeat, SIGABRT}, 5000);
  REQUIRE(d.did<Arm>());
  CHECK(d.did<Arm>()->at == d.now + d.policy.kill);
  d.feed(Fired{1, Timer::kill}, 1600);
  CHECK(d.did<SignalTree>()->number == SIGKILL);
  CHECK(!d.did<Stuck>());
  d.feed(Fired{1, Timer::kill}, 1600);
  CHECK(d.did<Stuck>());
}

TEST_CASE("a second sentence changes nothing") {
  Driver d = online();
  d.feed(Condemn{1, Cause::heartbeat, SIGABRT}, 5000);
  const State before = d.state;
  d.feed(Condemn{1, Cause::probe, SIGKILL}, 1);
  CHECK(d.state == before);
  CHECK(d.last.count == 0);
}

TEST_CASE("a sentence for an older process, or for one that is stopping, is none") {
  Driver d = online();
  d.crash(5000);
  d.feed(Spawned{2}, 1);
  d.feed(Condemn{1, Cause::heartbeat, SIGKILL}, 1);
  CHECK(d.last.count == 0);
  d.feed(Stop{}, 1);
  d.feed(Condemn{2, Cause::heartbeat, SIGKILL}, 1);
  CHECK(d.last.count == 0);
  CHECK(d.die() == Phase::stopped);
  CHECK(d.state.hangs == 0);
}

TEST_CASE("a stop that comes while a condemned process ends is final") {
  Driver d = online();
  d.feed(Condemn{1, Cause::heartbeat, SIGKILL}, 5000);
  d.feed(Stop{}, 1);
  CHECK(d.die() == Phase::stopped);
  CHECK(d.state.condemned == Cause::none);
}

TEST_CASE("autorestart false: a hung process is ended and stays so") {
  Driver d;
  d.policy.autorestart = false;
  d.run();
  d.feed(Condemn{1, Cause::heartbeat, SIGKILL}, 5000);
  CHECK(d.crash(1, SIGKILL) == Phase::stopped);
  CHECK(d.state.cause == Cause::heartbeat);
}

TEST_CASE("a hung successor in a reload gives the place back to the old process") {
  Driver d;
  d.policy.await_online = true;
  d.run();
  d.feed(Ready{1}, 1);
  d.feed(Reload{}, 5000);
  d.feed(Spawned{2}, 1);
  d.feed(Condemn{2, Cause::heartbeat, SIGKILL}, 1);
  CHECK(d.did<SignalTree>()->spawn == 2);
  d.feed(Exited{2, SIGKILL}, 1);
  CHECK(d.state.phase == Phase::online);
  CHECK(d.state.spawn == 1);
  CHECK(d.state.failed_reloads == 1);
}

TEST_CASE("the hung process that a reload replaced is ended without waiting for its requests") {
  Driver d;
  d.policy.await_online = true;
  d.policy.drain = Millis{10000};
  d.run();
  d.feed(Ready{1}, 1);
  d.feed(Reload{}, 5000);
  d.feed(Spawned{2}, 1);
  d.feed(Ready{2}, 1);
  d.feed(Condemn{1, Cause::heartbeat, SIGKILL}, 1);
  REQUIRE(d.did<SignalTree>());
  CHECK(d.did<SignalTree>()->spawn == 1);
  CHECK(d.state.spawn == 2);
  CHECK(d.state.phase == Phase::online);
}

}  // namespace
}  // namespace tend::lifecycle
