#include "core/lifecycle/leaving.h"

#include <algorithm>
#include <csignal>

namespace tend::lifecycle {

using Role = Other::Role;
using Stage = Other::Stage;

void arm_leaving(Transition& t, Stage stage, Millis at) {
  t.state.other.stage = stage;
  t.state.other.due = at;
  t.act(Arm{t.state.other.spawn, Timer::drain, at});
}

void dismiss(Transition& t, Millis now, const Policy& p) {
  Other& o = t.state.other;
  if (o.role == Role::none || (o.role == Role::leaving && o.stage != Stage::draining)) return;
  // One that exited while it finished may have left a tree; without a deadline that is being swept.
  if (o.exited && o.due.n < 0) return;
  o.role = Role::leaving;
  t.act(SignalTree{o.spawn, p.stop_signal});
  arm_leaving(t, Stage::signalled, now + p.kill);
}

void on_leaving_fired(Transition& t, Millis now, const Policy& p) {
  Other& o = t.state.other;
  if (o.role != Role::leaving) return;
  if (o.stage == Stage::draining) return dismiss(t, now, p);
  if (o.stage == Stage::killed) t.act(Stuck{o.spawn});
  t.act(SignalTree{o.spawn, SIGKILL});
  arm_leaving(t, Stage::killed, now + std::max(p.kill, kMinKillRepeat));
}

}  // namespace tend::lifecycle
