#include "core/lifecycle/patience.h"

#include "core/lifecycle/leaving.h"

namespace tend::lifecycle {
namespace {

void move(Transition& t, Millis& due, Millis until, Timer timer) {
  if (due.n < 0 || until <= due) return;  // never sooner
  due = until;
  t.act(Arm{t.state.spawn, timer, due});
}

}  // namespace

bool awaits_ready(const Policy& p) { return p.wait_ready || p.await_online; }

bool has_deadline(const State& s, const Policy& p) {
  return p.wait_ready || (p.await_online && s.other.role == Other::Role::serving);
}

void end_launch(Transition& t) {
  t.state.ready_due = Millis{-1};
  t.act(Cancel{Timer::ready});
}

void on_extend(Transition& t, const Extend& e, Millis now) {
  State& s = t.state;
  Other& o = s.other;
  const Millis until = now + e.by;
  if (e.spawn == s.spawn) {
    if (s.phase == Phase::launching) move(t, s.ready_due, until, Timer::ready);
    if (s.phase == Phase::stopping && s.kills == 0 && !s.exited) move(t, s.kill_due, until, Timer::kill);
  } else if (o.role == Other::Role::leaving && o.stage != Other::Stage::killed && !o.exited &&
             until > o.due) {
    arm_leaving(t, o.stage, until);
  }
}

bool too_early(Transition& t, Timer timer, Millis now) {
  const State& s = t.state;
  const Millis due = timer == Timer::ready && s.phase == Phase::launching ? s.ready_due
                     : timer == Timer::kill && s.phase == Phase::stopping ? s.kill_due
                     : timer == Timer::drain                              ? s.other.due
                                                                          : Millis{-1};
  if (now >= due) return false;
  t.act(Arm{timer == Timer::drain ? s.other.spawn : s.spawn, timer, due});
  return true;
}

}  // namespace tend::lifecycle
