// How the second process of a reload (lifecycle::Other) is brought to its end: drained, signalled, killed.
// Pure.
#pragma once

#include "core/lifecycle/instance_machine.h"

namespace tend::lifecycle {

// `stage` lasts until `at`.
void arm_leaving(Transition& t, Other::Stage stage, Millis at);
// It gets the stop signal, once.
void dismiss(Transition& t, Millis now, const Policy& p);
// Timer::drain: its stage is over, the next one begins.
void on_leaving_fired(Transition& t, Millis now, const Policy& p);

}  // namespace tend::lifecycle
