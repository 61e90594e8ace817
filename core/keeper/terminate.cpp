// SIGTERM, SIGINT, SIGQUIT: the supervisor is asked to stop everything. Only if there is none, or it does not
// stir, the keeper does it, without knowledge of trees and time limits.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "core/keeper/keeper.h"

namespace tend::keeper {
namespace {

constexpr Millis kNobodyThere{1000};
constexpr Millis kKillRound{100};
constexpr int kKillRounds = 20;

}  // namespace

void Keeper::on_terminate(int number) {
  terminate_signal_ = number;
  if (phase_ > Phase::asked) return;
  terminate_owed_ = true;
  if (phase_ == Phase::asked) return;
  phase_ = Phase::asked;
  terminate_at_ = now() + kNobodyThere;
}

void Keeper::on_terminate_deadline() {
  const Millis at = now();
  terminate_at_.reset();
  switch (phase_) {
    case Phase::none:
      return;
    case Phase::asked:
      if (greeted_ && !reacted_ && !extended_) {
        extended_ = true;
        terminate_at_ = at + settings_.no_reaction;
        return;
      }
      phase_ = Phase::terminating;
      restart_at_.reset();
      if (life_.pid > 0) kill(life_.pid, SIGKILL);
      signal_all(SIGTERM);
      terminate_at_ = at + settings_.grace;
      reap();
      return;
    case Phase::terminating:
      phase_ = Phase::killing;
      [[fallthrough]];
    case Phase::killing:
      // The death of a parent brings its orphans here, so it takes as many rounds as the trees are deep.
      signal_all(SIGKILL);
      kill_adopted();
      if (++kill_rounds_ > kKillRounds) done_ = true;  // in the kernel's hands (state D)
      terminate_at_ = at + kKillRound;
      reap();
      return;
  }
}

void Keeper::signal_all(int number) {
  for (const Entry& entry : entries_.all()) {
    if (!entry.alive()) continue;
    if (entry.adopted && syscall(SYS_pidfd_send_signal, entry.pidfd.get(), number, nullptr, 0) != 0) continue;
    if (kill(-entry.pid, number) != 0) kill(entry.pid, number);  // no session yet: it was just forked
  }
}

void Keeper::kill_adopted() {
  std::array<char, 64> path{};
  std::snprintf(path.data(), path.size(), "/proc/self/task/%d/children", static_cast<int>(getpid()));
  const UniqueFd file(::open(path.data(), O_RDONLY | O_CLOEXEC));
  if (!file) return;
  std::array<char, 4096> text{};
  const ssize_t n = read(file.get(), text.data(), text.size() - 1);
  if (n <= 0) return;
  char* at = text.data();
  for (;;) {
    char* end = nullptr;
    const long pid = std::strtol(at, &end, 10);
    // A number at the very end may be cut off; the next round reads it whole.
    if (end == at || *end != ' ') return;
    if (pid > 1) kill(static_cast<pid_t>(pid), SIGKILL);
    at = end;
  }
}

}  // namespace tend::keeper
