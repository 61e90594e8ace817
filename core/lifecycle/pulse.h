// How long a process has owed a sign of life, and what that makes of it. Pure: time and what is known of the
// process come as arguments.
//
// A sign is owed from the moment that it was asked for (a ping) or that the last one came (a watchdog). Blame
// is the time since then, less what was not the process' doing: the manager overslept, the machine slept, or
// others had the CPU while the process was ready to run. Each whole interval of blame is a miss.
#pragma once

#include <cstdint>

#include "core/base/units.h"

namespace tend::lifecycle {

enum class Health : uint8_t { unknown, ok, late, missing, hung };

struct PulsePolicy {
  Millis interval{1000};
  uint32_t misses = 3;  // in a row until it counts as hung
  Millis grace{60000};  // after `born`, in which one that never gave a sign is left alone
};

// What is known at a moment beside the packets. The last three only grow.
struct Witness {
  Millis now{0};        // monotonic
  Millis asleep{0};     // the machine's sleep so far: CLOCK_BOOTTIME less CLOCK_MONOTONIC
  Millis stalled{0};    // the manager's own lateness so far
  Millis starved{0};    // the process was ready to run and did not (schedstat); counts from the first look on
  bool traced = false;  // a debugger holds it
};

struct Pulse {
  Millis born{0};   // monotonic: from when it could give a sign
  Millis owed{-1};  // monotonic: since when one is owed; -1: none is
  Millis lag{0};    // what the last sign took, where that is known
  bool answered = false;
  bool starved_known = false;
  uint32_t misses = 0;
  Health health = Health::unknown;
  Millis asleep{0}, stalled{0}, starved{0};  // as they were at `owed`
};

// From `w.now` on a sign is owed, unless one is already.
void owe(Pulse& pulse, const Witness& w);
// A good sign came. It clears all blame; what is owed next begins anew. `lag`: how late it was.
Health sign(Pulse& pulse, Millis lag, const PulsePolicy& policy);
// Blame as of now.
Millis blame(const Pulse& pulse, const Witness& w);
// Whether a look at the process itself (starved, traced) is worth its cost.
bool suspicious(const Pulse& pulse, Millis now, const PulsePolicy& policy);
// Counts the misses. hung is returned as long as it lasts.
Health judge(Pulse& pulse, const Witness& w, const PulsePolicy& policy);

}  // namespace tend::lifecycle
