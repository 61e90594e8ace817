#include "core/lifecycle/pulse.h"

#include <algorithm>

namespace tend::lifecycle {
namespace {

void begin(Pulse& p, const Witness& w) {
  p.owed = w.now;
  p.asleep = w.asleep;
  p.stalled = w.stalled;
  p.starved_known = false;
  p.misses = 0;
}

// BOOTTIME and MONOTONIC are read a moment apart: less than this is no sleep.
constexpr Millis kSleep{500};

// A timer fires a moment early by the clock that the packets carry; a miss must not wait for another round.
Millis tolerance(const PulsePolicy& policy) { return Millis{policy.interval.n / 8}; }

}  // namespace

void owe(Pulse& p, const Witness& w) {
  if (p.owed.n < 0) begin(p, w);
}

Health sign(Pulse& p, Millis lag, const PulsePolicy& policy) {
  p.answered = true;
  p.owed = Millis{-1};
  p.lag = lag;
  p.misses = 0;
  p.health = lag > policy.interval ? Health::late : Health::ok;
  return p.health;
}

Millis blame(const Pulse& p, const Witness& w) {
  if (p.owed.n < 0) return Millis{0};
  const Millis starved = p.starved_known ? w.starved - p.starved : Millis{0};
  return std::max(Millis{0}, w.now - p.owed - (w.stalled - p.stalled) - starved);
}

bool suspicious(const Pulse& p, Millis now, const PulsePolicy& policy) {
  return p.owed.n >= 0 && now - p.owed + tolerance(policy) >= policy.interval;
}

Health judge(Pulse& p, const Witness& w, const PulsePolicy& policy) {
  if (p.owed.n < 0) return p.health;
  // Asleep or held, nobody could have answered: a fresh round.
  if (w.traced || w.asleep > p.asleep + kSleep) {
    begin(p, w);
    if (p.answered) p.health = Health::ok;
    return p.health;
  }
  if (!p.starved_known && suspicious(p, w.now, policy)) {
    p.starved = w.starved;
    p.starved_known = true;
  }
  Millis guilt = blame(p, w);
  if (!p.answered) {  // it may still be loading: its grace is no blame
    const Millis excused = std::max(Millis{0}, p.born + policy.grace - p.owed);
    guilt = std::max(Millis{0}, guilt - excused);
  }
  const int64_t whole = (guilt + tolerance(policy)).n / std::max<int64_t>(policy.interval.n, 1);
  p.misses = static_cast<uint32_t>(std::min<int64_t>(whole, policy.misses));
  if (p.misses >= policy.misses) {
    p.health = Health::hung;
  } else if (p.misses > 0) {
    p.health = Health::missing;
  }
  return p.health;
}

}  // namespace tend::lifecycle
