#include "core/lifecycle/instance_machine.h"

#include <sys/wait.h>

#include <algorithm>
#include <csignal>

#include "core/base/match.h"

namespace tend::lifecycle {
namespace {

void launch(Transition& t, Millis now, const Policy& p) {
  State& s = t.state;
  s.phase = Phase::launching;
  s.spawn += 1;
  s.since = now;
  s.exited_at = Millis{-1};
  s.exited = s.manual = s.executed = s.fresh = false;
  t.act(Spawn{s.spawn});
  if (p.wait_ready) t.act(Arm{s.spawn, Timer::ready, now + p.ready});
}

void forget_failures(State& s, Millis now) {
  s.unstable = 0;
  s.backoff = Millis{0};
  s.created = now;
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

void halt(Transition& t, Millis now, const Policy& p) {
  State& s = t.state;
  if (s.phase == Phase::launching) t.act(Cancel{Timer::ready});
  s.phase = Phase::stopping;
  s.exited = s.manual = false;
  s.kills = 0;
  s.kill_due = now + p.kill;
  t.act(Cancel{Timer::stable});
  t.act(SignalTree{s.spawn, p.stop_signal});
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
  if (s.manual && s.wanted) return launch_asked(t, now, p);
  s.exited = s.manual = s.wanted = false;
  s.phase = s.cause == Cause::not_ready ? Phase::errored : Phase::stopped;
}

bool is_stop_code(int32_t status, const Policy& p) {
  if (status == kStatusUnknown || !WIFEXITED(status)) return false;
  const auto end = p.stop_codes.begin() + std::min<std::size_t>(p.stop_code_count, p.stop_codes.size());
  return std::find(p.stop_codes.begin(), end, WEXITSTATUS(status)) != end;
}

Millis next_delay(State& s, const Policy& p) {
  if (p.exp_backoff.n > 0) {
    s.backoff = s.backoff.n == 0 ? p.exp_backoff : Millis{s.backoff.n + s.backoff.n / 2};
    s.backoff = std::min(s.backoff, kMaxBackoff);
    return s.backoff;
  }
  if (p.restart_delay.n > 0) return p.restart_delay;
  // No process existed, so nothing but this delay keeps a vanished program from being tried in a hot loop.
  if (s.cause == Cause::spawn_failed)
    return std::min(kSpawnRetry * (1 << std::min(s.unstable, 8u)), kMaxBackoff);
  return Millis{0};
}

void fail_for_good(State& s) {
  s.phase = Phase::errored;
  s.wanted = false;
}

// An unexpected end, and no process of it is left: compat.md 4.3, in its order.
void judge(Transition& t, Millis now, const Policy& p) {
  State& s = t.state;
  if (!s.wanted) {
    s.phase = Phase::stopped;
    s.manual = false;
    return;
  }
  if (s.manual) return launch_asked(t, now, p);
  if (s.cause == Cause::spawn_failed && s.fresh) return fail_for_good(s);
  if (!p.autorestart || (s.has_exit && s.cause != Cause::spawn_failed && is_stop_code(s.last_status, p))) {
    s.phase = Phase::stopped;
    s.wanted = false;
    return;
  }
  const bool in_window = s.created.n >= 0 && s.exited_at - s.created < p.min_uptime * p.max_restarts;
  if (in_window && s.exited_at - s.since < p.min_uptime) s.unstable += 1;
  if (s.unstable >= p.max_restarts) {
    s.unstable = 0;
    s.created = Millis{-1};
    return fail_for_good(s);
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

void note_exit(State& s, int32_t status, Millis now) {
  s.exited_at = now;
  s.has_exit = status != kStatusUnknown;
  s.last_status = s.has_exit ? status : 0;
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
  if (s.phase == Phase::launching || s.phase == Phase::online) halt(t, now, p);
  s.wanted = s.manual = true;
  s.cause = cause;
}

void on_stop(Transition& t, Millis now, const Policy& p) {
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
      halt(t, now, p);
      [[fallthrough]];
    case Phase::stopping:
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
  if (s.phase == Phase::launching && !p.wait_ready) s.phase = Phase::online;
  if (p.exp_backoff.n > 0) t.act(Arm{s.spawn, Timer::stable, now + kStableAfter});
}

void on_spawn_failed(Transition& t, Millis now, const Policy& p) {
  State& s = t.state;
  if (s.phase == Phase::stopping) return gone(t, now, p);
  if (s.phase != Phase::launching || s.executed) return;
  t.act(Cancel{Timer::ready});
  s.cause = Cause::spawn_failed;
  s.exited_at = now;
  judge(t, now, p);
}

void on_exited(Transition& t, int32_t status, Millis now, const Policy& p) {
  State& s = t.state;
  if (s.phase == Phase::launching || s.phase == Phase::online) {
    t.act(Cancel{s.phase == Phase::launching ? Timer::ready : Timer::stable});
    note_exit(s, status, now);
    if (!s.has_exit) {
      s.cause = Cause::keeper_lost;
    } else {
      s.cause = WIFEXITED(status) && WEXITSTATUS(status) == 0 ? Cause::exited : Cause::crash;
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

void on_ready_timeout(Transition& t, Millis now, const Policy& p) {
  State& s = t.state;
  if (s.phase != Phase::launching || !p.wait_ready) return;
  if (p.ready_timeout_is_online) {
    s.phase = Phase::online;
    return;
  }
  halt(t, now, p);
  s.wanted = false;  // ends in errored, see gone(): one that is not ready in time would not be the next time
  s.cause = Cause::not_ready;
}

void on_kill_timeout(Transition& t, Millis now, const Policy& p) {
  State& s = t.state;
  if (s.phase != Phase::stopping) return;
  if (s.kills > 0) t.act(Stuck{s.spawn});
  s.kills = static_cast<uint8_t>(std::min(s.kills + 1, 2));
  s.kill_due = now + std::max(p.kill, kMinKillRepeat);
  t.act(SignalTree{s.spawn, SIGKILL});
  t.act(Arm{s.spawn, Timer::kill, s.kill_due});
}

void on_fired(Transition& t, Timer timer, Millis now, const Policy& p) {
  State& s = t.state;
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
  }
}

}  // namespace

Transition step(const State& state, const Event& event, Millis now, const Policy& p) noexcept {
  Transition t{state};
  const auto current = [&](uint32_t spawn) { return spawn == state.spawn; };
  std::visit(Match{[&](Start) { on_start(t, Cause::user, now, p); },  //
                   [&](Stop) { on_stop(t, now, p); }, [&](Restart e) { on_restart(t, e.cause, now, p); },
                   [&](Reset) {
                     t.state.restarts = t.state.unstable = 0;
                     if (alive(state.phase) || state.phase == Phase::waiting) t.state.created = now;
                   },
                   [&](Spawned e) {
                     if (current(e.spawn)) on_spawned(t, now, p);
                   },
                   [&](Ready e) {
                     if (current(e.spawn) && state.phase == Phase::launching) {
                       t.state.phase = Phase::online;
                       t.act(Cancel{Timer::ready});
                     }
                   },
                   [&](SpawnFailed e) {
                     if (current(e.spawn)) on_spawn_failed(t, now, p);
                   },
                   [&](Exited e) {
                     if (current(e.spawn)) on_exited(t, e.status, now, p);
                   },
                   [&](TreeGone e) {
                     if (current(e.spawn)) on_tree_gone(t, now, p);
                   },
                   [&](Fired e) {
                     if (current(e.spawn)) on_fired(t, e.timer, now, p);
                   }},
             event);
  return t;
}

}  // namespace tend::lifecycle
