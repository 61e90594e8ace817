// Machine and oracle in one world of processes, compared after each event.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/match.h"
#include "tests/unit/lifecycle/oracle.h"
#include "tests/unit/lifecycle/random_world.h"

namespace tend::lifecycle {

inline std::string_view status_of(Phase phase) {
  constexpr std::array<std::string_view, 7> kWords = {"stopped", "waiting",  "errored", "launching",
                                                      "online",  "stopping", "sweeping"};
  return kWords[static_cast<std::size_t>(phase)];
}

// What kind of world it is: how often processes fail to begin, end by themselves, are deaf, are told twice
// of.
struct Temper {
  int fails = 10, dies = 40, deaf = 20, repeats = 10;
};

struct Pair : RandomWorld {
  Pair(uint32_t seed, const Policy& policy, Temper t) : RandomWorld(seed), oracle(policy), temper(t) {
    driver.policy = policy;
  }

  void feed(const Event& event) {
    if (!wrong.empty()) return;
    steps += 1;
    if (std::holds_alternative<Stop>(event)) may_spawn = false;
    if (std::holds_alternative<Start>(event) || std::holds_alternative<Restart>(event) ||
        std::holds_alternative<Reload>(event)) {
      may_spawn = true;
    }
    driver.feed(event);
    for (uint8_t i = 0; i < driver.last.count; ++i) answer(driver.last.actions[i]);
    compare(event);
  }
  void run_until(Millis end) {
    while (const auto event = next(end)) {
      if (!happens(*event)) continue;
      feed(*event);
      if (chance(temper.repeats) && is_report(*event)) feed(*event);
    }
  }
  // Nothing is under way but what a person may ask.
  void settle() { run_until(driver.now + Millis{600'000}); }

  Oracle oracle;
  std::string wrong;  // the first difference
  int64_t steps = 0;

 private:
  static bool is_report(const Event& e) {
    return std::holds_alternative<Spawned>(e) || std::holds_alternative<Exited>(e) ||
           std::holds_alternative<TreeGone>(e) || std::holds_alternative<SpawnFailed>(e);
  }
  // Whether the process that it is about can still do so.
  bool happens(const Event& event) {
    return std::visit(
        Match{[&](const Exited& e) { return live.erase(e.spawn) > 0; },
              [&](const SpawnFailed& e) { return live.erase(e.spawn) > 0; },
              [&](const Spawned& e) { return live.count(e.spawn) > 0; },
              [&](const Ready& e) { return live.count(e.spawn) > 0; }, [](const auto&) { return true; }},
        event);
  }
  void answer(const Action& action) {
    if (const auto* a = std::get_if<Spawn>(&action)) {
      live.insert(a->spawn);
      if (!may_spawn) note("a process was started after a stop");
      if (live.size() > 2) note("three processes of one instance");
      if (live.size() > 1 && driver.state.other.role == Other::Role::none)
        note("two processes without a reload");
      deaf[a->spawn % 4] = chance(temper.deaf);
      const int64_t exec = below(40);
      if (chance(temper.fails)) return later(SpawnFailed{a->spawn, chance(30)}, exec);
      later(Spawned{a->spawn}, exec);
      if (chance(70)) later(Ready{a->spawn}, exec + 1 + below(4000));
      if (chance(temper.dies))
        later(Exited{a->spawn, exit_code(static_cast<int>(below(3)))}, exec + 1 + below(3000));
    } else if (const auto* s = std::get_if<SignalTree>(&action)) {
      if (!deaf[s->spawn % 4] || s->number == SIGKILL) later(Exited{s->spawn, s->number}, below(80));
    } else if (const auto* d = std::get_if<Drain>(&action)) {
      if (chance(60)) later(Drained{d->spawn}, below(3000));
    } else {
      answer_machinery(action, 40);
    }
  }

  void note(const std::string& what) {
    if (wrong.empty()) wrong = what;
  }
  static std::string words(const std::vector<Deed>& deeds) {
    constexpr std::array<const char*, 6> kWords = {"spawn", "signal", "drain", "sweep", "await", "stuck"};
    std::string out;
    for (const Deed& d : deeds)
      out += std::string(" ") + kWords[static_cast<std::size_t>(d.kind)] + " " + std::to_string(d.process) +
             ":" + std::to_string(d.number);
    return out;
  }
  template <class T>
  void same(const char* what, const T& machine, const T& expected) {
    if (!(machine == expected)) note(std::string(what) + " differs");
  }
  void compare(const Event& event) {
    const std::vector<Deed>& expected = oracle.expect(event, driver.now);
    deeds.clear();
    using Kind = Deed::Kind;
    for (uint8_t i = 0; i < driver.last.count; ++i) {
      std::visit(Match{[&](const Spawn& a) {
                         deeds.push_back({Kind::spawn, a.spawn, 0});
                       },
                       [&](const SignalTree& a) {
                         deeds.push_back({Kind::signal, a.spawn, a.number});
                       },
                       [&](const Drain& a) {
                         deeds.push_back({Kind::drain, a.spawn, 0});
                       },
                       [&](const SweepTree& a) {
                         deeds.push_back({Kind::sweep, a.spawn, 0});
                       },
                       [&](const AwaitTree& a) {
                         deeds.push_back({Kind::await, a.spawn, 0});
                       },
                       [&](const Stuck& a) {
                         deeds.push_back({Kind::stuck, a.spawn, 0});
                       },
                       [](const auto&) {}},
                 driver.last.actions[i]);
    }
    std::sort(deeds.begin(), deeds.end());
    const State& s = driver.state;
    if (deeds != expected) note("done:" + words(deeds) + "; expected:" + words(expected) + ";");
    same("status", status_of(s.phase), oracle.status());
    same("the current process", s.spawn, oracle.current());
    same("restarts", s.restarts, oracle.restarts);
    same("unstable", s.unstable, oracle.unstable);
    same("reloads", s.reloads, oracle.reloads);
    same("failed reloads", s.failed_reloads, oracle.failed_reloads);
    same("hangs", s.hangs, oracle.hangs);
    same("wanted", s.wanted, oracle.wanted());
    for (int i = 0; i < kTimerKinds; ++i) {
      const auto kind = static_cast<Timer>(i);
      const auto timer = timers.find(kind);
      const auto due = oracle.due(kind);
      if (due && (timer == timers.end() || timer->second->first != *due))
        note("timer " + std::to_string(i) + " is not armed for its time, " + std::to_string(due->n));
      if (oracle.at_rest() && timer != timers.end())
        note("timer " + std::to_string(i) + " is armed, and there is nothing to wait for");
    }
    if (const auto* f = std::get_if<Fired>(&event); f && !wrong.empty())
      wrong +=
          " (timer " + std::to_string(static_cast<int>(f->timer)) + " of " + std::to_string(f->spawn) + ")";
    if (!wrong.empty())
      wrong += " at " + std::to_string(driver.now.n) + " in status " + std::string(oracle.status()) +
               " after event " + std::to_string(event.index()) + " in step " + std::to_string(steps);
  }

  Temper temper;
  bool may_spawn = false;
  std::array<bool, 4> deaf{};
  std::vector<Deed> deeds;
};

}  // namespace tend::lifecycle
