// What the answers of one probe amount to, as pure functions of (state, answer, now): when to ask next,
// whether the app is ready, whether it is unwell.
//   begin: nothing is known. `successes` answers in a row make it ready, `failures` misses in a row make it
//   unwell; what
// it became it stays until the other row is full. An answer of `unknown` (the prober itself failed) ends no
// row and adds to none. One probe is in flight at most: between asked() and answered() there is no due time.
// A new process begins anew.
#pragma once

#include <cstdint>

#include "core/base/units.h"

namespace tend::lifecycle {

struct ProbePolicy {
  Millis interval{10000};  // from one question to the next
  Millis delay{0};         // from the start of the process to the first
  uint32_t failures = 3;   // 0 counts as 1, as below
  uint32_t successes = 1;
};

// After the first, questions go out at whole multiples of this on the monotonic clock (or of a twentieth of
// the interval, if that is less): those of many apps wake daemon and helper once, which costs a third of what
// they cost one by one. An interval is kept to within half of it.
inline constexpr Millis kProbeGrid{250};
inline constexpr int64_t kGridsPerInterval = 20;

enum class ProbeAnswer : uint8_t { ok, failed, unknown };

struct ProbeState {
  enum class Finding : uint8_t { none, ready, unwell };
  Finding finding = Finding::none;
  bool in_flight = false;
  uint32_t answered = 0;  // in a row; saturates
  uint32_t missed = 0;    // in a row; saturates
  Millis asked{-1};       // monotonic: when the last question went out; -1: none yet
  Millis due{0};          // monotonic: when the next one is due; means nothing while one is in flight
  friend bool operator==(const ProbeState&, const ProbeState&) = default;
};

ProbeState begin_probes(Millis now, const ProbePolicy& policy);
// REQUIRES: may_ask(state, now).
ProbeState asked(const ProbeState& state, Millis now);
// Late or unasked answers (none is in flight) change nothing.
ProbeState answered(const ProbeState& state, ProbeAnswer answer, Millis now, const ProbePolicy& policy);

bool may_ask(const ProbeState& state, Millis now);
// -1: one is in flight, so that nothing is due before its answer.
Millis next_probe(const ProbeState& state);
bool is_ready(const ProbeState& state);
bool is_unwell(const ProbeState& state);

}  // namespace tend::lifecycle
