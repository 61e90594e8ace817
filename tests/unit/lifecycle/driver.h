// The machine with a clock that is a variable: feeds events, keeps the state and the actions of the last
// step.
#pragma once

#include <csignal>
#include <cstdint>
#include <variant>

#include "core/lifecycle/instance_machine.h"

namespace tend::lifecycle {

inline int32_t exit_code(int n) { return n << 8; }

struct Driver {
  Policy policy;
  State state;
  Millis now{1000000};
  Transition last;

  Phase feed(const Event& event, int64_t after = 0) {
    now.n += after;
    last = step(state, event, now, policy);
    state = last.state;
    return state.phase;
  }
  template <class A>
  const A* did(bool (*matches)(const A&) = nullptr) const {
    for (uint8_t i = 0; i < last.count; ++i) {
      const A* a = std::get_if<A>(&last.actions[i]);
      if (a && (!matches || matches(*a))) return a;
    }
    return nullptr;
  }
  void run(int64_t after = 1) {  // Start, and exec succeeds
    feed(Start{});
    feed(Spawned{state.spawn}, after);
  }
  Phase crash(int64_t after = 1, int32_t status = exit_code(1)) {  // and its tree is swept
    feed(Exited{state.spawn, status}, after);
    return feed(TreeGone{state.spawn});
  }
  Phase die() {  // within stopping
    feed(Exited{state.spawn, SIGINT}, 1);
    return feed(TreeGone{state.spawn});
  }
};

}  // namespace tend::lifecycle
