#include "core/lifecycle/probe_verdict.h"

#include <algorithm>
#include <limits>

namespace tend::lifecycle {
namespace {

void count(uint32_t& row) {
  if (row < std::numeric_limits<uint32_t>::max()) ++row;
}

// To the nearest point of the grid, so that a question which went out a little late does not push the rhythm
// on.
Millis aligned(Millis at, Millis interval) {
  const int64_t grid = std::min(kProbeGrid.n, interval.n / kGridsPerInterval);
  return grid > 1 ? Millis{(at.n + grid / 2) / grid * grid} : at;
}

}  // namespace

ProbeState begin_probes(Millis now, const ProbePolicy& policy) {
  ProbeState state;
  state.due = now + policy.delay;
  return state;
}

ProbeState asked(const ProbeState& state, Millis now) {
  ProbeState next = state;
  next.in_flight = true;
  next.asked = now;
  return next;
}

ProbeState answered(const ProbeState& state, ProbeAnswer answer, Millis now, const ProbePolicy& policy) {
  if (!state.in_flight) return state;
  ProbeState next = state;
  next.in_flight = false;
  // The rhythm is that of the questions; an answer slower than it makes the next one due at once.
  next.due = std::max(now, aligned(state.asked + policy.interval, policy.interval));
  switch (answer) {
    case ProbeAnswer::ok:
      count(next.answered);
      next.missed = 0;
      if (next.answered >= policy.successes) next.finding = ProbeState::Finding::ready;
      break;
    case ProbeAnswer::failed:
      count(next.missed);
      next.answered = 0;
      if (next.missed >= policy.failures) next.finding = ProbeState::Finding::unwell;
      break;
    case ProbeAnswer::unknown:
      break;
  }
  return next;
}

bool may_ask(const ProbeState& state, Millis now) { return !state.in_flight && now >= state.due; }
Millis next_probe(const ProbeState& state) { return state.in_flight ? Millis{-1} : state.due; }
bool is_ready(const ProbeState& state) { return state.finding == ProbeState::Finding::ready; }
bool is_unwell(const ProbeState& state) { return state.finding == ProbeState::Finding::unwell; }

}  // namespace tend::lifecycle
