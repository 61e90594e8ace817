// What an unexpected end leads to: the rules of restart of compat.md 4.3, in their order. Pure.
#pragma once

#include "core/lifecycle/instance_machine.h"

namespace tend::lifecycle {

// The current process ended with `status`, a wait status, or none was to be had.
void note_exit(State& state, int32_t status, Millis now);
// A person asked for a new beginning.
void forget_failures(State& state, Millis now);
Cause cause_of(int32_t status);  // when nobody asked for the end

enum class Verdict : uint8_t { stop, fail, relaunch };

// Counts the exit that `state` tells of. REQUIRES: it was unexpected, the instance is wanted, nobody asked
// for more.
Verdict judge_exit(State& state, const Policy& policy);
// How long the relaunch waits; an exponential delay grows with each call.
Millis next_delay(State& state, const Policy& policy);

// The rules were applied by another: it runs again, under its number.
void on_repeated(Transition& t, const Repeated& e, Millis now, const Policy& policy);

}  // namespace tend::lifecycle
