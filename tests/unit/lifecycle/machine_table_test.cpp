#include <doctest/doctest.h>

#include <array>
#include <string_view>
#include <vector>

#include "tests/unit/lifecycle/driver.h"

namespace tend::lifecycle {
namespace {

constexpr std::string_view kLetters = "swelopz";  // by Phase; p stopping, z sweeping

State in(Phase phase) {
  State s;
  s.phase = phase;
  s.spawn = 7;
  s.created = s.since = Millis{500};
  s.executed = phase >= Phase::online;
  s.wanted = phase == Phase::waiting || phase == Phase::launching || phase == Phase::online ||
             phase == Phase::sweeping;
  if (phase == Phase::waiting) s.due = Millis{2000};
  if (phase == Phase::stopping) s.kill_due = Millis{2000};
  if (phase == Phase::sweeping) s.exited_at = Millis{900};
  s.has_exit = phase == Phase::sweeping;
  s.last_status = s.has_exit ? exit_code(1) : 0;
  return s;
}

std::vector<Event> reports(uint32_t n) {
  return {Spawned{n},
          Ready{n},
          SpawnFailed{n},
          Exited{n, exit_code(1)},
          TreeGone{n},
          Extend{n, Millis{700}},
          Fired{n, Timer::ready},
          Fired{n, Timer::kill},
          Fired{n, Timer::restart},
          Fired{n, Timer::stable}};
}

TEST_CASE("each phase answers each event with the phase of the table") {
  std::vector<Event> events{Start{}, Stop{}, Restart{}, Reset{}};
  for (const Event& e : reports(7)) events.push_back(e);
  // Start Stop Restart Reset | Spawned Ready SpawnFailed Exited TreeGone Extend | timers: ready kill restart
  // stable
  constexpr std::array<std::string_view, 7> kTable = {
      "lsls"
      "ssssss"
      "ssss",  // stopped
      "lslw"
      "wwwwww"
      "wwlw",  // waiting
      "lsle"
      "eeeeee"
      "eeee",  // errored
      "lppl"
      "oowzll"
      "llll",  // launching
      "oppo"
      "ooozoo"
      "oooo",  // online
      "pppp"
      "ppsppp"
      "pppp",  // stopping, its process lives
      "zzzz"
      "zzzzlz"
      "zzzz",  // sweeping
  };
  for (std::size_t phase = 0; phase < kTable.size(); ++phase) {
    for (std::size_t e = 0; e < events.size(); ++e) {
      CAPTURE(kLetters[phase]);
      CAPTURE(e);
      const Transition t = step(in(static_cast<Phase>(phase)), events[e], Millis{1000}, Policy{});
      CHECK(kLetters[static_cast<std::size_t>(t.state.phase)] == kTable[phase][e]);
    }
  }
}

TEST_CASE("a report or timer of another spawn changes nothing and asks for nothing") {
  for (std::size_t phase = 0; phase < kLetters.size(); ++phase) {
    for (const uint32_t other : {0u, 6u, 8u}) {
      for (const Event& e : reports(other)) {
        for (const bool flip : {false, true}) {
          State s = in(static_cast<Phase>(phase));
          s.exited = s.manual = flip;
          Policy p;
          p.treekill = p.autorestart = !flip;
          p.wait_ready = flip;
          const Transition t = step(s, e, Millis{1000}, p);
          CAPTURE(kLetters[phase]);
          CAPTURE(e.index());
          CHECK(t.state == s);
          CHECK(t.count == 0);
        }
      }
    }
  }
}

TEST_CASE("a report that is told again changes nothing") {
  Driver d;
  d.policy.exp_backoff = Millis{100};
  d.run();
  const auto again = [&](const Event& e) {
    const State before = d.state;
    d.feed(e, 50);
    return d.state == before;
  };
  CHECK(again(Spawned{1}));
  CHECK(d.last.count == 0);
  d.feed(Exited{1, exit_code(3)});
  CHECK(again(Exited{1, exit_code(3)}));
  CHECK(d.did<SweepTree>());
  d.feed(TreeGone{1});
  CHECK(again(TreeGone{1}));
  CHECK(d.last.count == 0);
}

}  // namespace
}  // namespace tend::lifecycle
