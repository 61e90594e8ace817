#include "core/lifecycle/probe_verdict.h"

#include <algorithm>
#include <limits>

namespace tend::lifecycle {
namespace {

void count(uint32_t& row) {
  if (row < std::numeric_limits<uint32_t>::max()) ++row;
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
  next.due = std::max(now, state.asked + policy.interval);
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
