#include "tests/unit/lifecycle/oracle.h"

#include <sys/wait.h>

#include <algorithm>

#include "core/base/match.h"

namespace tend::lifecycle {

const std::vector<Deed>& Oracle::expect(const Event& event, Millis now) {
  now_ = now;
  said_.clear();
  std::visit(Match{[&](const Start&) { start(Cause::user); }, [&](const Stop& e) { stop(e.drain); },
                   [&](const Restart& e) { restart(e.cause); }, [&](const Reload& e) { reload(e.cause); },
                   [&](const Reset&) {
                     restarts = unstable = hangs = 0;
                     if (main_ || rest_ == Rest::waiting) created_ = now_;
                   },
                   [&](const auto& e) {
                     if (e.spawn == current_) {
                       main_ ? tell_main(e) : tell_resting(e);
                     } else if (old_ && e.spawn == old_->number) {
                       tell_old(e);
                     }
                   }},
             event);
  std::sort(said_.begin(), said_.end());
  return said_;
}

std::string_view Oracle::status() const {
  if (!main_) return rest_ == Rest::waiting ? "waiting" : rest_ == Rest::errored ? "errored" : "stopped";
  if (main_->end == End::stop) return "stopping";
  if (main_->dead) return "sweeping";
  return main_->ready ? "online" : "launching";
}

std::optional<Millis> Oracle::due(Timer timer) const {
  if (timer == Timer::restart && !main_ && rest_ == Rest::waiting) return wait_until_;
  if (timer == Timer::kill && main_) return main_->kill_at;
  if (timer == Timer::ready && main_) return main_->ready_by;
  if (timer == Timer::drain && old_) return old_->kill_at;
  return std::nullopt;
}

void Oracle::clean_slate() {
  unstable = 0;
  delay_ = Millis{0};
  created_ = now_;
}

void Oracle::begin(bool by_hand) {
  main_ = Process{};
  main_->number = current_ = ++last_;
  main_->born = now_;
  main_->by_hand = by_hand;
  wish_ = true;
  again_ = false;
  if (p_.wait_ready || (p_.await_online && old_ && serving_)) main_->ready_by = now_ + p_.ready;
  say(Deed::Kind::spawn, *main_);
}

void Oracle::begin_from_rest(Cause cause) {
  clean_slate();
  cause_ = cause;
  begin(cause == Cause::user);
}

void Oracle::start(Cause cause) {
  if (!main_) return begin_from_rest(cause);
  const bool ends = main_->end == End::stop || main_->dead;
  if (!ends || again_) return;
  wish_ = again_ = true;
  cause_ = cause;
}

void Oracle::restart(Cause cause) {
  if (!main_) return begin_from_rest(cause);
  if (main_->end != End::stop && !main_->dead) end_main(false);
  if (main_->end == End::stop && main_->step == Step::asked_to_finish) signal_main();
  wish_ = again_ = true;
  cause_ = cause;
}

void Oracle::reload(Cause cause) {
  if (old_) return;
  if (status() != "online") return restart(cause);
  cause_ = cause;
  old_ = main_;
  old_->kill_at.reset();
  old_->end = End::none;
  serving_ = true;
  begin(false);
}

void Oracle::stop(bool drain) {
  wish_ = again_ = false;
  if (!main_) {
    rest_ = Rest::stopped;
    return;
  }
  if (main_->end == End::stop) {
    if (!drain && main_->step == Step::asked_to_finish) signal_main();
    cause_ = Cause::user;
  } else if (!main_->dead) {
    end_main(drain);
    cause_ = Cause::user;
  }
}

void Oracle::end_main(bool drain) {
  send_old_away();
  const bool finishes = drain && main_->ready && p_.drain.n > 0;
  main_->end = End::stop;
  main_->kills = 0;
  main_->ready_by.reset();
  if (!finishes) return signal_main();
  main_->step = Step::asked_to_finish;
  main_->kill_at = now_ + p_.drain;
  say(Deed::Kind::drain, *main_);
}

void Oracle::signal_main() {
  main_->step = Step::signalled;
  signal(*main_, p_.stop_signal);
  main_->kill_at = now_ + p_.kill;
}

void Oracle::send_old_away() {
  if (!old_ || (old_->dead && !old_->kill_at) || (!serving_ && old_->step != Step::asked_to_finish)) return;
  serving_ = false;
  old_->step = Step::signalled;
  signal(*old_, p_.stop_signal);
  old_->kill_at = now_ + p_.kill;
}

void Oracle::tell_main(const Spawned&) {
  if (!lives() || main_->runs) return;
  main_->runs = true;
  main_->born = now_;
  if (!main_->ready && !p_.wait_ready && !p_.await_online) now_ready();
}

void Oracle::tell_main(const Ready&) {
  if (lives() && !main_->ready) now_ready();
}

void Oracle::now_ready() {
  main_->ready = true;
  main_->ready_by.reset();
  if (!old_ || !serving_) return;
  reloads += 1;
  restarts += 1;
  clean_slate();
  if (p_.drain.n == 0) return send_old_away();
  serving_ = false;
  old_->step = Step::asked_to_finish;
  old_->kill_at = now_ + p_.drain;
  say(Deed::Kind::drain, *old_);
}

void Oracle::tell_main(const Drained&) {
  if (main_->end == End::stop && main_->step == Step::asked_to_finish) signal_main();
}

void Oracle::tell_main(const Extend& e) {
  const Millis until = now_ + e.by;
  if (main_->ready_by && until > *main_->ready_by) main_->ready_by = until;
  const bool may_ask = main_->end == End::stop && main_->kills == 0 && !main_->dead;
  if (may_ask && main_->kill_at && until > *main_->kill_at) main_->kill_at = until;
}

void Oracle::tell_main(const Condemn& e) {
  if (!lives() || main_->end == End::condemned) return;
  main_->end = End::condemned;
  main_->sentence = e.cause;
  main_->kills = 0;
  main_->kill_at = now_ + patience();
  signal(*main_, e.signal);
}

void Oracle::tell_main(const SpawnFailed& e) {
  if (main_->end == End::stop) return main_over();
  if (main_->dead || main_->ready || main_->runs) return;
  cause_ = e.starved ? Cause::starved : Cause::spawn_failed;
  if (old_ && serving_) {
    failed_reloads += 1;
    main_ = std::exchange(old_, std::nullopt);
    current_ = main_->number;
    return;
  }
  ended_at_ = now_;
  judge();
}

void Oracle::tell_main(const Exited& e) {
  if (main_->end == End::stop) {
    if (!main_->dead) status_ = e.status;
    main_->dead = true;
    if (!p_.treekill) return main_over();
    return say(Deed::Kind::await, *main_);
  }
  if (main_->dead) return say(Deed::Kind::sweep, *main_);
  main_->dead = true;
  main_->kill_at.reset();
  main_->ready_by.reset();
  ended_at_ = now_;
  status_ = e.status;
  cause_ = WIFEXITED(e.status) && WEXITSTATUS(e.status) == 0 ? Cause::exited : Cause::crash;
  if (main_->end == End::condemned) {
    cause_ = main_->sentence;
    hangs += 1;
    main_->end = End::none;
  }
  if (old_ && serving_) return back_to_old();
  if (!p_.treekill) return judge();
  say(Deed::Kind::sweep, *main_);
}

void Oracle::tell_main(const TreeGone&) {
  if (!main_->dead) return;
  main_->end == End::stop ? main_over() : judge();
}

void Oracle::tell_main(const Fired& e) {
  if (e.timer == Timer::stable && status() == "online") delay_ = Millis{0};
  if (e.timer != Timer::ready && e.timer != Timer::kill) return;
  const auto at = due(e.timer);
  if (!at || now_ < *at) return;  // of another process, or taken back
  if (e.timer == Timer::ready) return late();
  main_->end == End::stop && main_->step == Step::asked_to_finish ? signal_main() : kill_main();
}

void Oracle::tell_main(const Repeated& e) {
  restarts += e.times;
  if (!lives()) return;
  main_->born = now_;
  cause_ = Cause::crash;
}

void Oracle::late() {
  main_->ready_by.reset();
  if (!p_.wait_ready && !(old_ && serving_)) return;  // in a reload alone it was in a hurry
  if (p_.ready_timeout_is_online) return now_ready();
  if (old_ && serving_) {
    back_to_old();
    cause_ = Cause::not_ready;
    return;
  }
  end_main(false);
  wish_ = again_ = false;
  cause_ = Cause::not_ready;
}

void Oracle::kill_main() {
  if (main_->kills > 0) say(Deed::Kind::stuck, *main_);
  main_->kills = std::min(main_->kills + 1, 2);
  signal(*main_, SIGKILL);
  main_->kill_at = now_ + patience();
}

void Oracle::back_to_old() {
  failed_reloads += 1;
  std::swap(main_, old_);
  current_ = main_->number;
  serving_ = false;
  old_->step = Step::asked_to_finish;
  old_->kill_at.reset();
  old_->ready_by.reset();
  old_->end = End::none;
  if (!old_->dead) return send_old_away();
  if (!p_.treekill) return old_over();
  say(Deed::Kind::sweep, *old_);
}

void Oracle::tell_resting(const Fired& e) {
  if (e.timer != Timer::restart || rest_ != Rest::waiting) return;
  restarts += 1;
  begin(false);
}

void Oracle::tell_old(const Exited&) {
  const bool unasked = serving_;
  serving_ = false;
  old_->dead = true;
  if (!p_.treekill) return old_over();
  say(unasked ? Deed::Kind::sweep : Deed::Kind::await, *old_);
}

void Oracle::tell_old(const TreeGone&) {
  if (old_->dead) old_over();
}

void Oracle::tell_old(const Drained&) {
  if (!serving_) send_old_away();
}

void Oracle::tell_old(const Extend& e) {
  const Millis until = now_ + e.by;
  if (!serving_ && old_->step != Step::killed && !old_->dead && old_->kill_at && until > *old_->kill_at)
    old_->kill_at = until;
}

void Oracle::tell_old(const Fired& e) {
  if (e.timer != Timer::drain || serving_ || !old_->kill_at || now_ < *old_->kill_at) return;
  if (old_->step == Step::asked_to_finish) return send_old_away();
  if (old_->step == Step::killed) say(Deed::Kind::stuck, *old_);
  old_->step = Step::killed;
  signal(*old_, SIGKILL);
  old_->kill_at = now_ + patience();
}

void Oracle::old_over() {
  old_.reset();
  if (main_ && main_->end == End::stop && main_->gone) main_over();
}

void Oracle::asked_again() {
  restarts += 1;
  clean_slate();
  begin(cause_ == Cause::user);
}

void Oracle::judge() {
  const Process was = *main_;
  main_.reset();
  rest_ = Rest::stopped;
  if (again_) return asked_again();
  if (!wish_) return;
  wish_ = false;
  const bool never_ran = cause_ == Cause::spawn_failed;
  if (cause_ == Cause::starved) {
    delay_ = std::clamp(delay_ * 2, kSpawnRetry, kMaxStarved);
    return relaunch_after(delay_);
  }
  if (p_.exp_backoff.n == 0) delay_ = Millis{0};
  if (never_ran && was.by_hand) {
    rest_ = Rest::errored;
    return;
  }
  if (!p_.autorestart || (status_ && !never_ran && is_stop_code(*status_))) return;
  const bool young = ended_at_ - was.born < p_.min_uptime;
  if (created_ && ended_at_ - *created_ < p_.min_uptime * p_.max_restarts && young) unstable += 1;
  if (unstable >= p_.max_restarts) {
    unstable = 0;
    created_.reset();
    rest_ = Rest::errored;
    return;
  }
  if (p_.exp_backoff.n > 0) {
    delay_ = delay_.n == 0 ? p_.exp_backoff : Millis{delay_.n * 3 / 2};
    delay_ = std::min(delay_, kMaxBackoff);
    return relaunch_after(delay_);
  }
  if (p_.restart_delay.n > 0) return relaunch_after(p_.restart_delay);
  relaunch_after(never_ran ? std::min(kSpawnRetry * (1 << std::min(unstable, 8u)), kMaxBackoff) : Millis{0});
}

void Oracle::relaunch_after(Millis wait) {
  wish_ = true;
  if (wait.n == 0) {
    restarts += 1;
    return begin(false);
  }
  rest_ = Rest::waiting;
  wait_until_ = now_ + wait;
}

bool Oracle::is_stop_code(int32_t status) const {
  return WIFEXITED(status) && p_.stop_codes[static_cast<std::size_t>(WEXITSTATUS(status))];
}

}  // namespace tend::lifecycle
