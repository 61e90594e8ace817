#include "core/lifecycle/restart_rules.h"

#include <sys/wait.h>

namespace tend::lifecycle {
namespace {

bool is_stop_code(int32_t status, const Policy& p) {
  return WIFEXITED(status) && p.stop_codes.test(static_cast<std::size_t>(WEXITSTATUS(status)));
}

}  // namespace

void note_exit(State& s, int32_t status, Millis now) {
  s.exited_at = now;
  s.has_exit = status >= 0;
  s.last_status = s.has_exit ? status : 0;
}

void forget_failures(State& s, Millis now) {
  s.unstable = 0;
  s.backoff = Millis{0};
  s.created = now;
}

Cause cause_of(int32_t status) {
  if (status == kStatusUnknown) return Cause::keeper_lost;
  if (status == kStatusForked) return Cause::exited;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? Cause::exited : Cause::crash;
}

Verdict judge_exit(State& s, const Policy& p) {
  // No fault of the app's: it is tried until the machine has room for it.
  if (s.cause == Cause::starved) return Verdict::relaunch;
  if (p.exp_backoff.n == 0) s.backoff = Millis{0};
  const bool never_ran = s.cause == Cause::spawn_failed;
  if (never_ran && s.fresh) return Verdict::fail;
  if (!p.autorestart || (s.has_exit && !never_ran && is_stop_code(s.last_status, p))) return Verdict::stop;
  const bool in_window = s.created.n >= 0 && s.exited_at - s.created < p.min_uptime * p.max_restarts;
  if (in_window && s.exited_at - s.since < p.min_uptime) s.unstable += 1;
  if (s.unstable < p.max_restarts) return Verdict::relaunch;
  s.unstable = 0;
  s.created = Millis{-1};
  return Verdict::fail;
}

Millis next_delay(State& s, const Policy& p) {
  if (s.cause == Cause::starved) {
    s.backoff = std::clamp(s.backoff * 2, kSpawnRetry, kMaxStarved);
    return s.backoff;
  }
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

void on_repeated(Transition& t, const Repeated& e, Millis now, const Policy& p) {
  State& s = t.state;
  s.restarts += e.times;
  if (s.phase != Phase::launching && s.phase != Phase::online) return;
  s.since = now;
  s.cause = Cause::crash;
  if (s.phase == Phase::online && p.exp_backoff.n > 0) t.act(Arm{s.spawn, Timer::stable, now + kStableAfter});
}

}  // namespace tend::lifecycle
