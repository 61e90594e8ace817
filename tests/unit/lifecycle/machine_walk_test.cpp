// Random lives: every property is a loop over seeds; a failure prints its seed.
#include <doctest/doctest.h>

#include "tests/unit/lifecycle/random_world.h"

namespace tend::lifecycle {
namespace {

// Answers the machine's actions as a machine room would: late, and with apps that heed only SIGKILL.
struct World : RandomWorld {
  using RandomWorld::RandomWorld;

  void feed(const Event& e) {
    driver.feed(e);
    for (uint8_t i = 0; i < driver.last.count; ++i) answer(driver.last.actions[i]);
  }
  void answer(const Action& action) {
    if (const auto* a = std::get_if<Spawn>(&action)) {
      if (!live.empty()) doubled = true;
      ++spawns;
      live.insert(a->spawn);
      stubborn = chance(30);
      const int64_t exec = below(kDelay);
      later(chance(15) ? Event{SpawnFailed{a->spawn}} : Event{Spawned{a->spawn}}, exec);
      if (chance(50)) later(Exited{a->spawn, exit_code(static_cast<int>(below(3)))}, exec + 1 + below(3000));
      if (chance(50)) later(Ready{a->spawn}, exec + 1 + below(5000));
    } else if (const auto* s = std::get_if<SignalTree>(&action)) {
      if (live.count(s->spawn) && (!stubborn || s->number == SIGKILL))
        later(Exited{s->spawn, s->number}, kDelay + below(kDelay));
    } else {
      answer_machinery(action, kDelay);
    }
  }
  void run_until(Millis end) {
    while (const auto event = next(end)) {
      const Event& e = *event;
      if (const auto* x = std::get_if<Exited>(&e)) {
        if (!live.erase(x->spawn)) continue;  // it died already
      } else if (const auto* f = std::get_if<SpawnFailed>(&e)) {
        if (!live.erase(f->spawn)) continue;
      } else if (const auto* ok = std::get_if<Spawned>(&e)) {
        if (!live.count(ok->spawn)) continue;
      }
      feed(e);
      if (!something_is_due()) hangs = true;
    }
  }
  bool something_is_due() const {
    const State& s = driver.state;
    const auto awaited = [&](auto want) {
      for (const auto& [at, e] : agenda) {
        if (want(e)) return true;
      }
      return false;
    };
    const auto tree = [&](const Event& e) {
      return std::holds_alternative<TreeGone>(e) && std::get<TreeGone>(e).spawn == s.spawn;
    };
    switch (s.phase) {
      case Phase::stopped:
      case Phase::errored:
        return live.empty();
      case Phase::online:
        return live.count(s.spawn) == 1 && (s.condemned == Cause::none || timers.count(Timer::kill) == 1);
      case Phase::waiting:
        return timers.count(Timer::restart) == 1 && s.due.n >= 0;
      case Phase::launching:
        return live.count(s.spawn) == 1 && (!s.executed || timers.count(Timer::ready) == 1);
      case Phase::stopping:
        return timers.count(Timer::kill) == 1 && (s.exited ? awaited(tree) : live.count(s.spawn) == 1);
      case Phase::sweeping:
        return awaited(tree);
    }
    return false;
  }

  static constexpr int64_t kDelay = 40;
  bool stubborn = false, doubled = false, hangs = false;
  int spawns = 0;
};

Event any_event(World& w) {
  const uint32_t spawn = w.driver.state.spawn;
  switch (w.below(10)) {
    case 0:
    case 1:
      return Start{};
    case 2:
      return Stop{w.chance(50)};
    case 3:
      return Restart{w.chance(50) ? Cause::user : Cause::cron};
    case 4:
      return Reset{};
    // A stray timer: late ones of older processes, and of this one those that may come at any time.
    case 5:
      return Fired{spawn - 1, static_cast<Timer>(w.below(kTimerKinds))};
    case 6:
      return Fired{spawn, w.chance(50) ? Timer::stable : Timer::restart};
    case 7:
      return Condemn{spawn, Cause::heartbeat, w.chance(50) ? SIGKILL : SIGABRT};
    case 8:
      return Extend{spawn - static_cast<uint32_t>(w.below(2)), Millis{w.below(1000)}};
    default:
      return TreeGone{spawn - 1};
  }
}

TEST_CASE("20,000 random lives: one process at a time, nothing hangs, a stop is final, no step is stale") {
  for (uint32_t seed = 1; seed <= 20000; ++seed) {
    CAPTURE(seed);
    World w(seed);
    w.driver.policy = w.any_policy();
    w.feed(Start{});
    for (int i = 0; i < 30; ++i) {
      w.run_until(w.driver.now + Millis{w.below(w.chance(20) ? 4000 : 200)});
      // That one is no stray: the world still owes it.
      const Event e = any_event(w);
      if (std::holds_alternative<Fired>(e) && std::get<Fired>(e).timer == Timer::restart &&
          std::get<Fired>(e).spawn == w.driver.state.spawn && w.driver.state.phase == Phase::waiting)
        continue;
      w.feed(e);
      REQUIRE(w.something_is_due());
    }
    w.feed(Stop{});
    // It may have been stopping before, and have asked for more time.
    const Millis first = std::max(w.driver.now + w.driver.policy.kill, w.driver.state.kill_due);
    w.run_until(first + w.driver.policy.kill + Millis{4 * World::kDelay + kMinKillRepeat.n});
    REQUIRE(w.live.empty());
    REQUIRE(w.driver.state.phase == Phase::stopped);
    const int spawns = w.spawns;
    w.run_until(w.driver.now + Millis{3600000});
    REQUIRE(w.spawns == spawns);
    REQUIRE(w.driver.state.phase == Phase::stopped);
    REQUIRE(!w.doubled);
    REQUIRE(!w.hangs);
  }
}

}  // namespace
}  // namespace tend::lifecycle
