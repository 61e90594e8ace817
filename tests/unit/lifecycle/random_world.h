// A machine among random events: reports on their way and timers, at most one of each kind, in the order of
// time. How processes behave is each test's own.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <variant>

#include "tests/unit/lifecycle/driver.h"

namespace tend::lifecycle {

struct RandomWorld {
  explicit RandomWorld(uint32_t seed) : random(seed) {}
  int64_t below(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(random); }
  bool chance(int percent) { return below(100) < percent; }
  Policy any_policy() {
    Policy p;
    p.autorestart = chance(85);
    p.treekill = chance(70);
    p.wait_ready = chance(30);
    p.ready_timeout_is_online = chance(30);
    p.max_restarts = static_cast<uint32_t>(below(5));
    if (chance(30)) p.restart_delay = Millis{below(500)};
    if (chance(30)) p.exp_backoff = Millis{1 + below(300)};
    p.kill = Millis{below(2000)};
    if (chance(30)) p.stop_codes.set(0);
    return p;
  }
  void later(const Event& e, int64_t delay) { agenda.emplace(driver.now + Millis{delay}, e); }

  // Answers what does not depend on how the app behaves: trees end in less than `tree_delay` ms.
  void answer_machinery(const Action& action, int64_t tree_delay) {
    if (const auto* w = std::get_if<SweepTree>(&action)) {
      later(TreeGone{w->spawn}, below(tree_delay));
    } else if (const auto* aw = std::get_if<AwaitTree>(&action)) {
      later(TreeGone{aw->spawn}, below(tree_delay));
    } else if (const auto* arm = std::get_if<Arm>(&action)) {
      cancel(arm->timer);
      timers[arm->timer] = agenda.emplace(arm->at, Fired{arm->spawn, arm->timer});
    } else if (const auto* c = std::get_if<Cancel>(&action)) {
      cancel(c->timer);
    }
  }
  void cancel(Timer t) {
    if (const auto it = timers.find(t); it != timers.end()) {
      agenda.erase(it->second);
      timers.erase(it);
    }
  }
  // Takes out what comes next, and it is then; none: nothing comes until `end`.
  std::optional<Event> next(Millis end) {
    if (agenda.empty() || agenda.begin()->first > end) {
      driver.now = end;
      return std::nullopt;
    }
    const auto it = agenda.begin();
    const Event e = it->second;
    driver.now = std::max(driver.now, it->first);
    std::erase_if(timers, [&](const auto& t) { return t.second == it; });
    agenda.erase(it);
    return e;
  }

  using Agenda = std::multimap<Millis, Event>;
  Driver driver;
  std::mt19937 random;
  Agenda agenda;
  std::map<Timer, Agenda::iterator> timers;
  std::set<uint32_t> live;
};

}  // namespace tend::lifecycle
