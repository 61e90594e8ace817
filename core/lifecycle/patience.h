// How long a start may take, and a process that asks for more time (EXTEND_TIMEOUT_USEC): its start, or its
// stop, is not given up before that is over. Pure.
#pragma once

#include "core/lifecycle/instance_machine.h"

namespace tend::lifecycle {

bool awaits_ready(const Policy& p);
// Whether the time for getting ready is limited.
bool has_deadline(const State& s, const Policy& p);
// It is launching no more.
void end_launch(Transition& t);
void on_extend(Transition& t, const Extend& e, Millis now);
// The timer was moved while its end was on the way here: it goes on. So does one that the loop's coarser
// clock ended early.
bool too_early(Transition& t, Timer timer, Millis now);

}  // namespace tend::lifecycle
