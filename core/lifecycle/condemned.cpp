#include "core/lifecycle/condemned.h"

#include <algorithm>
#include <csignal>

namespace tend::lifecycle {

void condemn(Transition& t, const Condemn& sentence, Millis now, const Policy& p) {
  State& s = t.state;
  if ((s.phase != Phase::launching && s.phase != Phase::online) || s.condemned != Cause::none) return;
  s.condemned = sentence.cause;
  s.kills = 0;
  s.kill_due = now + std::max(p.kill, kMinKillRepeat);
  t.act(SignalTree{s.spawn, sentence.signal});
  t.act(Arm{s.spawn, Timer::kill, s.kill_due});
}

void kill_again(Transition& t, Millis now, const Policy& p) {
  State& s = t.state;
  if (s.kills > 0) t.act(Stuck{s.spawn});
  s.kills = static_cast<uint8_t>(std::min(s.kills + 1, 2));
  s.kill_due = now + std::max(p.kill, kMinKillRepeat);
  t.act(SignalTree{s.spawn, SIGKILL});
  t.act(Arm{s.spawn, Timer::kill, s.kill_due});
}

void end_of_condemned(Transition& t) {
  State& s = t.state;
  s.cause = s.condemned;
  s.hangs += 1;
  forget_sentence(t);
}

void forget_sentence(Transition& t) {
  State& s = t.state;
  if (s.condemned == Cause::none) return;
  s.condemned = Cause::none;
  s.kill_due = Millis{-1};
  t.act(Cancel{Timer::kill});
}

}  // namespace tend::lifecycle
