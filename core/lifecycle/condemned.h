// A process that lives and is not well is ended at once: it hears no polite request (settled 42). Its exit is
// then an unexpected one as any other, with the reason for its cause.
#pragma once

#include "core/lifecycle/instance_machine.h"

namespace tend::lifecycle {

void condemn(Transition& t, const Condemn& sentence, Millis now, const Policy& p);
// SIGKILL, and again until it is gone; Stuck from the second on.
void kill_again(Transition& t, Millis now, const Policy& p);
// It exited: the cause is what it was condemned for.
void end_of_condemned(Transition& t);
// The condemned process is the current one no more, or it never was one.
void forget_sentence(Transition& t);

}  // namespace tend::lifecycle
