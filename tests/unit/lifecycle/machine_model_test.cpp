// The machine against a second model of the same rules (oracle.h): every step of both must agree in what is
// asked of the world, in status, counters, wishes and timers.
#include <doctest/doctest.h>

#include <vector>

#include "tests/unit/lifecycle/model_pair.h"

namespace tend::lifecycle {
namespace {

const std::vector<Event> kCommands = {
    Start{}, Stop{}, Stop{true}, Restart{}, Restart{Cause::cron}, Reload{}, Reset{}, Reload{Cause::memory}};

std::vector<Policy> policies() {
  std::vector<Policy> all;
  all.emplace_back();  // a plain process
  Policy worker;
  worker.await_online = true;
  worker.drain = Millis{2000};
  all.push_back(worker);
  Policy ready = worker;
  ready.wait_ready = true;
  ready.drain = Millis{0};
  all.push_back(ready);
  Policy lone;
  lone.treekill = false;
  lone.autorestart = false;
  all.push_back(lone);
  Policy slow;
  slow.restart_delay = Millis{400};
  slow.max_restarts = 3;
  slow.stop_codes.set(0);
  all.push_back(slow);
  Policy patient = ready;
  patient.treekill = false;
  patient.exp_backoff = Millis{100};
  patient.ready_timeout_is_online = true;
  patient.kill = Millis{0};
  all.push_back(patient);
  return all;
}

// Commands and ends that lead to each state from which three commands are tried.
struct Situation {
  const char* name;
  void (*reach)(Pair& w);
};

void online(Pair& w) {
  w.feed(Start{});
  w.feed(Spawned{w.driver.state.spawn});
  w.feed(Ready{w.driver.state.spawn});
}
void die(Pair& w, int32_t status) {
  w.live.erase(w.driver.state.spawn);
  w.feed(Exited{w.driver.state.spawn, status});
}
void successor(Pair& w) {
  online(w);
  w.feed(Reload{});
}
void leaving(Pair& w) {
  successor(w);
  w.feed(Spawned{w.driver.state.spawn});
  w.feed(Ready{w.driver.state.spawn});
}

constexpr Situation kSituations[] = {
    {"never started", [](Pair&) {}},
    {"asked for", [](Pair& w) { w.feed(Start{}); }},
    {"executed",
     [](Pair& w) {
       w.feed(Start{});
       w.feed(Spawned{1});
     }},
    {"online", online},
    {"condemned",
     [](Pair& w) {
       online(w);
       w.feed(Condemn{w.driver.state.spawn, Cause::heartbeat, SIGABRT});
     }},
    {"swept",
     [](Pair& w) {
       online(w);
       die(w, exit_code(1));
     }},
    {"starved",
     [](Pair& w) {
       w.feed(Start{});
       w.live.erase(1);
       w.feed(SpawnFailed{1, true});
     }},
    {"a program that is not there",
     [](Pair& w) {
       w.feed(Start{});
       w.live.erase(1);
       w.feed(SpawnFailed{1});
     }},
    {"stopping",
     [](Pair& w) {
       online(w);
       w.feed(Stop{});
     }},
    {"finishing",
     [](Pair& w) {
       online(w);
       w.feed(Stop{true});
     }},
    {"stopping, its tree remains",
     [](Pair& w) {
       online(w);
       w.feed(Stop{});
       die(w, SIGINT);
     }},
    {"restarting",
     [](Pair& w) {
       online(w);
       w.feed(Restart{});
     }},
    {"stopped",
     [](Pair& w) {
       online(w);
       w.feed(Stop{});
       w.settle();
     }},
    {"a successor is asked for", successor},
    {"the old one takes its leave", leaving},
    {"the successor died",
     [](Pair& w) {
       successor(w);
       w.feed(Spawned{w.driver.state.spawn});
       die(w, exit_code(1));
     }},
    {"both stop, the new one is gone",
     [](Pair& w) {
       successor(w);
       w.feed(Stop{});
       die(w, SIGINT);
       w.feed(TreeGone{w.driver.state.spawn});
     }},
};

TEST_CASE("36: each pair and triple of commands in each state does what the rules say") {
  const auto all = policies();
  int64_t sequences = 0;
  for (std::size_t p = 0; p < all.size(); ++p) {
    for (const Situation& from : kSituations) {
      for (std::size_t first = 0; first < kCommands.size(); ++first) {
        for (std::size_t second = 0; second < kCommands.size(); ++second) {
          for (std::size_t third = 0; third <= kCommands.size(); ++third) {  // the last: only two
            ++sequences;
            Pair w(static_cast<uint32_t>(sequences), all[p], {0, 0, sequences % 3 == 0 ? 100 : 0, 0});
            from.reach(w);
            w.feed(kCommands[first]);
            w.feed(kCommands[second]);
            if (third < kCommands.size()) w.feed(kCommands[third]);
            w.run_until(w.driver.now + Millis{30'000});
            if (w.wrong.empty()) continue;
            CAPTURE(p);
            CAPTURE(from.name);
            CAPTURE(first);
            CAPTURE(second);
            CAPTURE(third);
            FAIL(w.wrong);
          }
        }
      }
    }
  }
  CHECK(sequences == static_cast<int64_t>(all.size() * std::size(kSituations)) * 8 * 8 * 9);
}

// A person, a program, or a timer that comes after it was taken back.
void disturb(Pair& w) {
  const uint32_t spawn = w.driver.state.spawn;
  const uint32_t any = w.chance(30) && spawn > 0 ? spawn - 1 : spawn;
  switch (w.below(12)) {
    case 0:
    case 1:
      return w.feed(Start{});
    case 2:
    case 3:
      return w.feed(Stop{w.chance(40)});
    case 4:
      return w.feed(Restart{w.chance(50) ? Cause::user : Cause::watch});
    case 5:
    case 6:
      return w.feed(Reload{w.chance(80) ? Cause::user : Cause::memory});
    case 7:
      return w.feed(Reset{});
    case 8:
      return w.feed(Condemn{any, Cause::heartbeat, w.chance(50) ? SIGKILL : SIGABRT});
    case 9:
      return w.feed(Extend{any, Millis{w.below(2000)}});
    default: {
      const auto kind = static_cast<Timer>(w.below(kTimerKinds));
      if (w.timers.count(kind) == 0) w.feed(Fired{any, kind});
    }
  }
}

TEST_CASE("36: a million random steps are those of a second model of the rules") {
  int64_t steps = 0;
  for (uint32_t seed = 1; steps < 1'000'000; ++seed) {
    RandomWorld dice(seed);
    const Temper temper{static_cast<int>(dice.below(40)), static_cast<int>(dice.below(90)),
                        static_cast<int>(dice.below(60)), static_cast<int>(dice.below(30))};
    Policy policy = dice.any_policy();
    policy.await_online = dice.chance(40);
    if (dice.chance(60)) policy.drain = Millis{1 + dice.below(4000)};
    Pair w(seed, policy, temper);
    w.feed(Start{});
    for (int i = 0; i < 60; ++i) {
      w.run_until(w.driver.now + Millis{w.below(w.chance(20) ? 6000 : 300)});
      disturb(w);
    }
    w.feed(Stop{});
    w.settle();
    steps += w.steps;
    CAPTURE(seed);
    REQUIRE(w.wrong == "");
    REQUIRE(w.live.empty());
    REQUIRE(w.driver.state.phase == Phase::stopped);
  }
}

}  // namespace
}  // namespace tend::lifecycle
