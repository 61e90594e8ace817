#include "core/lifecycle/instance_machine.h"

#include <algorithm>
#include <csignal>
#include <optional>

#include "core/base/match.h"
#include "core/lifecycle/condemned.h"
#include "core/lifecycle/leaving.h"
#include "core/lifecycle/patience.h"
#include "core/lifecycle/restart_rules.h"

namespace tend::lifecycle {
namespace {

using Role = Other::Role;
using Stage = Other::Stage;

void launch(Transition& t, Millis now, const Policy& p) {
  State& s = t.state;
  s.phase = Phase::launching;
  s.spawn = ++s.last_spawn;
  s.since = now;
  s.exited_at = Millis{-1};
  s.exited = s.manual = s.executed = s.fresh = s.emptied = false;
  s.condemned = Cause::none;
  s.ready_due = Millis{-1};
  t.act(Spawn{s.spawn});
  if (!has_deadline(s, p)) return;
  s.ready_due = now + p.ready;
  t.act(Arm{s.spawn, Timer::ready, s.ready_due});
}

void start_dead(Transition& t, Cause cause, Millis now, const Policy& p) {
  State& s = t.state;
  if (s.phase == Phase::waiting) {
    s.due = Millis{-1};
    t.act(Cancel{Timer::restart});
  }
  s.wanted = true;
  s.cause = cause;
  forget_failures(s, now);
  launch(t, now, p);
  s.fresh = cause == Cause::user;
}

// The stop signal, and the time until SIGKILL.
void ask_to_end(Transition& t, Millis now, const Policy& p) {
  State& s = t.state;
  s.draining = false;
  s.kill_due = now + p.kill;
  t.act(SignalTree{s.spawn, p.stop_signal});
  t.act(Arm{s.spawn, Timer::kill, s.kill_due});
}

void halt(Transition& t, bool drain, Millis now, const Policy& p) {
  State& s = t.state;
  s.draining = drain && s.phase == Phase::online && p.drain.n > 0;
  if (s.phase == Phase::launching) end_launch(t);
  dismiss(t, now, p);
  s.phase = Phase::stopping;
  s.exited = s.manual = s.emptied = false;
  s.condemned = Cause::none;
  s.kills = 0;
  t.act(Cancel{Timer::stable});
  if (!s.draining) return ask_to_end(t, now, p);
  s.kill_due = now + p.drain;
  t.act(Drain{s.spawn});
  t.act(Arm{s.spawn, Timer::kill, s.kill_due});
}

// The restart that a person (or cron, watch, the memory limit) asked for while the old process lived.
void launch_asked(Transition& t, Millis now, const Policy& p) {
  State& s = t.state;
  s.restarts += 1;
  forget_failures(s, now);
  launch(t, now, p);
  s.fresh = s.cause == Cause::user;
}

// stopping, and no process of it is left.
void gone(Transition& t, Millis now, const Policy& p) {
  State& s = t.state;
  t.act(Cancel{Timer::kill});
  s.kill_due = Millis{-1};
  s.draining = false;
  if (s.other.role != Role::none) {
    s.emptied = true;
    return;
  }
  if (s.manual && s.wanted) return launch_asked(t, now, p);
  s.exited = s.manual = s.wanted = s.emptied = false;
  s.phase = s.cause == Cause::not_ready ? Phase::errored : Phase::stopped;
}

// An unexpected end, and no process of it is left.
void judge(Transition& t, Millis now, const Policy& p) {
  State& s = t.state;
  if (s.wanted && s.manual) return launch_asked(t, now, p);
  switch (s.wanted ? judge_exit(s, p) : Verdict::stop) {
    case Verdict::stop:
      s.phase = Phase::stopped;
      s.wanted = s.manual = false;
      return;
    case Verdict::fail:
      s.phase = Phase::errored;
      s.wanted = false;
      return;
    case Verdict::relaunch:
      break;
  }
  if (const Millis delay = next_delay(s, p); delay.n > 0) {
    s.phase = Phase::waiting;
    s.due = now + delay;
    t.act(Arm{s.spawn, Timer::restart, s.due});
    return;
  }
  s.restarts += 1;
  launch(t, now, p);
}

// The successor is no good: the old process is the current one again, and the new one, if it lives, the
// other.
void take_back(Transition& t, Millis now, const Policy& p) {
  State& s = t.state;
  const Other old = s.other;
  s.other = Other{Role::leaving, Stage::draining, s.executed, false, s.spawn, s.since, Millis{-1}};
  s.spawn = old.spawn;
  s.since = old.since;
  s.executed = old.executed;
  s.exited_at = Millis{-1};
  s.phase = Phase::online;
  s.failed_reloads += 1;
  end_launch(t);
  forget_sentence(t);
  if (p.exp_backoff.n > 0) t.act(Arm{s.spawn, Timer::stable, now + kStableAfter});
}

// The current process may serve: it is online, and one that it replaces takes its leave.
void now_ready(Transition& t, Millis now, const Policy& p) {
  State& s = t.state;
  s.phase = Phase::online;
  if (awaits_ready(p)) end_launch(t);
  if (s.other.role != Role::serving) return;
  s.reloads += 1;
  s.restarts += 1;
  forget_failures(s, now);
  if (p.drain.n == 0) return dismiss(t, now, p);
  s.other.role = Role::leaving;
  t.act(Drain{s.other.spawn});
  arm_leaving(t, Stage::draining, now + p.drain);
}

// Nothing is left of the second process of a reload.
void other_gone(Transition& t, Millis now, const Policy& p) {
  State& s = t.state;
  s.other = Other{};
  t.act(Cancel{Timer::drain});
  if (s.phase == Phase::stopping && s.emptied) gone(t, now, p);
}

void on_start(Transition& t, Cause cause, Millis now, const Policy& p) {
  State& s = t.state;
  if (!alive(s.phase)) return start_dead(t, cause, now, p);
  if (s.phase != Phase::stopping && s.phase != Phase::sweeping) return;  // it runs already
  if (s.wanted && s.manual) return;                                      // it will be started already
  s.wanted = s.manual = true;
  s.cause = cause;
}

void on_restart(Transition& t, Cause cause, Millis now, const Policy& p) {
  State& s = t.state;
  if (!alive(s.phase)) return start_dead(t, cause, now, p);
  if (s.phase == Phase::launching || s.phase == Phase::online) halt(t, false, now, p);
  if (s.phase == Phase::stopping && s.draining) ask_to_end(t, now, p);
  s.wanted = s.manual = true;
  s.cause = cause;
}

void on_reload(Transition& t, Cause cause, Millis now, const Policy& p) {
  State& s = t.state;
  if (s.other.role != Role::none) return;  // one at a time
  if (s.phase != Phase::online) return on_restart(t, cause, now, p);
  s.cause = cause;
  s.other = Other{Role::serving, Stage::draining, s.executed, false, s.spawn, s.since, Millis{-1}};
  t.act(Cancel{Timer::stable});
  forget_sentence(t);
  launch(t, now, p);
}

void on_stop(Transition& t, bool drain, Millis now, const Policy& p) {
  State& s = t.state;
  s.wanted = false;
  s.manual = false;
  switch (s.phase) {
    case Phase::stopped:
      break;
    case Phase::waiting:
      t.act(Cancel{Timer::restart});
      s.due = Millis{-1};
      [[fallthrough]];
    case Phase::errored:
      s.phase = Phase::stopped;
      break;
    case Phase::launching:
    case Phase::online:
      halt(t, drain, now, p);
      s.cause = Cause::user;
      break;
    case Phase::stopping:
      if (!drain && s.draining) ask_to_end(t, now, p);
      s.cause = Cause::user;
      break;
    case Phase::sweeping:  // it ended by itself: the cause stays
      break;
  }
}

void on_spawned(Transition& t, Millis now, const Policy& p) {
  State& s = t.state;
  if ((s.phase != Phase::launching && s.phase != Phase::online) || s.executed) return;
  s.executed = true;
  s.since = now;  // the time that exec took is no uptime
  if (s.phase == Phase::launching && !awaits_ready(p)) now_ready(t, now, p);
  if (p.exp_backoff.n > 0) t.act(Arm{s.spawn, Timer::stable, now + kStableAfter});
}

void on_spawn_failed(Transition& t, Millis now, const Policy& p, Cause cause) {
  State& s = t.state;
  if (s.phase == Phase::stopping) return gone(t, now, p);
  if (s.phase != Phase::launching || s.executed) return;
  if (s.other.role == Role::serving) {
    take_back(t, now, p);
    s.other = Other{};  // there is no such process
    s.cause = cause;
    return;
  }
  end_launch(t);
  forget_sentence(t);
  s.cause = cause;
  s.exited_at = now;
  judge(t, now, p);
}

void on_exited(Transition& t, int32_t status, Millis now, const Policy& p) {
  State& s = t.state;
  if (s.phase == Phase::launching || s.phase == Phase::online) {
    if (s.phase == Phase::launching) end_launch(t);
    t.act(Cancel{Timer::stable});
    note_exit(s, status, now);
    s.cause = cause_of(status);
    if (s.condemned != Cause::none) end_of_condemned(t);
    if (s.other.role == Role::serving) {
      take_back(t, now, p);
      s.other.exited = true;
      if (!p.treekill) return other_gone(t, now, p);
      return t.act(SweepTree{s.other.spawn});
    }
    s.phase = Phase::sweeping;
    if (!p.treekill) return judge(t, now, p);
    t.act(SweepTree{s.spawn});
  } else if (s.phase == Phase::sweeping) {
    t.act(SweepTree{s.spawn});  // told again after an adoption
  } else if (s.phase == Phase::stopping) {
    if (!s.exited) note_exit(s, status, now);
    s.exited = true;
    if (!p.treekill) return gone(t, now, p);
    t.act(AwaitTree{s.spawn});
  }
}

void on_tree_gone(Transition& t, Millis now, const Policy& p) {
  if (t.state.phase == Phase::sweeping) judge(t, now, p);
  // Before Exited it may be an empty snapshot of a process that forks: only the exit of the main one proves
  // it.
  if (t.state.phase == Phase::stopping && t.state.exited) gone(t, now, p);
}

void on_other_exited(Transition& t, Millis now, const Policy& p) {
  Other& o = t.state.other;
  const bool unasked = o.role == Role::serving;
  o.role = Role::leaving;  // it can take its place back no more
  o.exited = true;
  if (!p.treekill) return other_gone(t, now, p);
  t.act(unasked ? Action{SweepTree{o.spawn}} : Action{AwaitTree{o.spawn}});
}

void on_other(Transition& t, const Event& event, Millis now, const Policy& p) {
  Other& o = t.state.other;
  std::visit(Match{[&](Exited) { on_other_exited(t, now, p); },
                   [&](TreeGone) {
                     if (o.exited) other_gone(t, now, p);
                   },
                   [&](Drained) {
                     if (o.role == Role::leaving) dismiss(t, now, p);
                   },
                   [&](Condemn e) {
                     t.act(SignalTree{o.spawn, e.signal});
                   },
                   [&](Extend e) { on_extend(t, e, now); },
                   [&](Fired e) {
                     if (e.timer == Timer::drain && !too_early(t, e.timer, now)) on_leaving_fired(t, now, p);
                   },
                   [](const auto&) {}},
             event);
}

void on_ready_timeout(Transition& t, Millis now, const Policy& p) {
  State& s = t.state;
  if (s.phase != Phase::launching || !has_deadline(s, p)) return;
  if (p.ready_timeout_is_online) return now_ready(t, now, p);
  if (s.other.role == Role::serving) {
    take_back(t, now, p);
    s.cause = Cause::not_ready;
    return dismiss(t, now, p);
  }
  halt(t, false, now, p);
  s.wanted = false;  // ends in errored, see gone(): one that is not ready in time would not be the next time
  s.cause = Cause::not_ready;
}

void on_kill_timeout(Transition& t, Millis now, const Policy& p) {
  State& s = t.state;
  if (s.condemned != Cause::none && (s.phase == Phase::launching || s.phase == Phase::online))
    return kill_again(t, now, p);
  if (s.phase != Phase::stopping || s.emptied) return;  // a late one: nothing is left to kill
  if (s.draining) return ask_to_end(t, now, p);
  kill_again(t, now, p);
}

void on_fired(Transition& t, Timer timer, Millis now, const Policy& p) {
  State& s = t.state;
  if (too_early(t, timer, now)) return;
  switch (timer) {
    case Timer::ready:
      return on_ready_timeout(t, now, p);
    case Timer::kill:
      return on_kill_timeout(t, now, p);
    case Timer::restart:
      if (s.phase != Phase::waiting) return;
      s.due = Millis{-1};
      s.restarts += 1;
      return launch(t, now, p);
    case Timer::stable:
      if (s.phase == Phase::online) s.backoff = Millis{0};
      return;
    case Timer::drain:
      return;  // of the other process, which is asked first
  }
}

// The process that an event is about; none: the instance.
std::optional<uint32_t> spawn_of(const Event& event) {
  return std::visit(
      [](const auto& e) -> std::optional<uint32_t> {
        if constexpr (requires { e.spawn; }) {
          return e.spawn;
        } else {
          return std::nullopt;
        }
      },
      event);
}

}  // namespace

Transition step(const State& state, const Event& event, Millis now, const Policy& p) noexcept {
  Transition t{state};
  if (const auto spawn = spawn_of(event); spawn && *spawn != state.spawn) {
    if (state.other.role != Role::none && *spawn == state.other.spawn) on_other(t, event, now, p);
    return t;  // else of a process that is long gone
  }
  std::visit(
      Match{[&](Start) { on_start(t, Cause::user, now, p); },  //
            [&](Stop e) { on_stop(t, e.drain, now, p); }, [&](Restart e) { on_restart(t, e.cause, now, p); },
            [&](Reload e) { on_reload(t, e.cause, now, p); },
            [&](Reset) {
              t.state.restarts = t.state.unstable = t.state.hangs = 0;
              if (alive(state.phase) || state.phase == Phase::waiting) t.state.created = now;
            },
            [&](Condemn e) { condemn(t, e, now, p); }, [&](Spawned) { on_spawned(t, now, p); },
            [&](Ready) {
              if (state.phase == Phase::launching) now_ready(t, now, p);
            },
            [&](Drained) {
              if (state.phase == Phase::stopping && state.draining) ask_to_end(t, now, p);
            },
            [&](Extend e) { on_extend(t, e, now); },  //
            [&](SpawnFailed e) {
              on_spawn_failed(t, now, p, e.starved ? Cause::starved : Cause::spawn_failed);
            },
            [&](Repeated e) { on_repeated(t, e, now, p); },
            [&](Exited e) { on_exited(t, e.status, now, p); }, [&](TreeGone) { on_tree_gone(t, now, p); },
            [&](Fired e) { on_fired(t, e.timer, now, p); }},
      event);
  return t;
}

}  // namespace tend::lifecycle
