// What the kernel knows of a process that does not answer: whether it was held or kept from running. Blocks
// for microseconds (/proc).
#pragma once

#include "core/base/units.h"

namespace tend::metrics {

struct Sched {
  Millis starved{0};    // its main thread was ready to run and others had the CPU, so far
  bool traced = false;  // a debugger holds it
};

// Zero and false where the kernel does not tell, or the process is gone.
Sched look_at_sched(int pid);
// The machine's sleep since boot: CLOCK_BOOTTIME less CLOCK_MONOTONIC.
Millis machine_asleep();

}  // namespace tend::metrics
