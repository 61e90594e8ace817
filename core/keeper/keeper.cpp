#include "core/keeper/keeper.h"

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <new>
#include <utility>

#include "core/base/clock.h"

namespace tend::keeper {
namespace {

constexpr int kRequestsPerTurn = 64;
constexpr Millis kSuccessorTime{1000};  // after a signal, to say hello
constexpr Millis kQuickDeath{1000};
constexpr Millis kOwnerSoon{5};   // the owner is the parent once the former supervisor is gone
constexpr Millis kYoung{10'000};  // one that dies before, and never served, has failed
constexpr int kFailures = 5;      // in a row: safe mode
constexpr int kServedLives = 100;
constexpr int kNoProgram = 127 << 8;  // a wait status, as a shell would say it
constexpr Millis kFirstDelay{100};
constexpr Millis kLongestDelay{30'000};

}  // namespace

Status Keeper::open() {
  sigset_t handled;
  sigemptyset(&handled);
  for (int number : {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGUSR2}) sigaddset(&handled, number);
  // As PM2's daemon; a habit of other daemons' users must not end what holds every app. Apps get the defaults
  // back.
  for (int number : {SIGHUP, SIGUSR1}) signal(number, SIG_IGN);
  if (sigprocmask(SIG_BLOCK, &handled, nullptr) != 0) return fail_errno("block signals");
  signals_.reset(signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return fail_errno("signalfd");
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return fail_errno("epoll_create1");
  watch(EPOLL_CTL_ADD, signals_.get(), EPOLLIN, kSignalsTag);
  return {};
}

int Keeper::run() {
  if (started_.n == 0) started_ = now();
  inheriting_ = static_cast<bool>(settings_.predecessor);
  if (inheriting_) heir_of_ = getppid();
  if (inheriting_) {
    life_ = Life{std::move(settings_.predecessor), 0};
    watch(EPOLL_CTL_ADD, life_.socket.get(), EPOLLIN, kLinkTag);
  } else {
    start_supervisor();
  }
  std::array<epoll_event, 64> events{};
  while (!done_) {
    const int n = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms());
    for (int i = 0; i < n && !done_; ++i) {
      // A descriptor may have been closed and its number reused within one batch: all handlers bear a false
      // alarm.
      const epoll_event& event = events[static_cast<size_t>(i)];
      const int fd = static_cast<int>(event.data.u64 & UINT_MAX);
      switch (static_cast<Tag>(event.data.u64 >> 32)) {
        case kSignalsTag:
          on_signals();
          break;
        case kLinkTag:
          on_link(event.events);
          break;
        case kPipeTag:
          on_pipe(fd);
          break;
        case kAdoptedTag:
          on_adopted(fd);
          break;
      }
    }
    on_time();
    flush();
  }
  return 0;
}

Millis Keeper::now() const { return SystemClock().now(); }

int Keeper::timeout_ms() const {
  std::optional<Millis> next;
  for (const auto& due : {retry_at_, restart_at_, terminate_at_, owner_at_, upgrade_.due, repeat_at_}) {
    if (due && (!next || *due < *next)) next = due;
  }
  if (!next) return -1;
  return static_cast<int>(std::clamp<int64_t>((*next - now()).n, 0, INT_MAX));
}

void Keeper::watch(int operation, int fd, uint32_t events, Tag tag) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = static_cast<uint64_t>(tag) << 32 | static_cast<uint32_t>(fd);
  epoll_ctl(epoll_.get(), operation, fd, &event);
}

void Keeper::on_signals() {
  signalfd_siginfo info{};
  bool child = false;
  while (read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGCHLD) {
      child = true;
    } else if (info.ssi_signo == SIGUSR2) {
      reopen_owed_ = true;
      flush();
    } else {
      on_terminate(static_cast<int>(info.ssi_signo));
    }
  }
  if (child) reap();
}

// The pid of an entry is its own until it is reaped here, and nowhere else: no stranger is ever signalled.
void Keeper::reap() {
  int status = 0;
  pid_t pid = 0;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    if (pid == life_.pid) {
      last_end_ = status;
      supervisor_gone();
      continue;
    }
    if (pid == upgrade_.checker) {
      on_checker_end(status);
      continue;
    }
    Entry* entry = entries_.find_child(pid);
    if (entry == nullptr) continue;  // an adopted orphan, or a child whose spawn failed
    if (entry->state == Entry::State::pending) {
      settle(*entry);
      if (!entry->alive()) continue;
      if (entry->state == Entry::State::pending) {  // nobody but the child could hold the pipe open
        close_pipe(*entry);
        entry->state = Entry::State::live;
        entries_.owe(*entry, Entry::kSpawned);
      }
    }
    ended(*entry, status);
  }
  if (pid < 0 && errno == ECHILD && phase_ >= Phase::terminating && !any_adopted()) done_ = true;
}

void Keeper::ended(Entry& entry, int64_t status) {
  entry.state = Entry::State::exited;
  entry.pidfd.reset();
  entry.result = status;
  entry.detail = now().n;
  entries_.owe(entry, Entry::kFinal);
  plan_repeat(entry);
}

void Keeper::on_pipe(int fd) {
  if (Entry* entry = entries_.find_pipe(fd)) settle(*entry);
}

// Reads the error pipe. False: it is not known yet whether exec happened.
bool Keeper::settle(Entry& entry) {
  SpawnError error{};
  const ssize_t n = read(entry.error_pipe.get(), &error, sizeof error);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  close_pipe(entry);
  if (n == static_cast<ssize_t>(sizeof error) && entry.repeats > 0) {
    ended(entry, kNoProgram);  // of a process that its supervisor knows as executed
  } else if (n == static_cast<ssize_t>(sizeof error)) {
    entry.state = Entry::State::failed;
    entry.pidfd.reset();
    entry.result = error.code;
    entry.detail = error.step;
    entries_.owe(entry, Entry::kFinal);
  } else {
    entry.state = Entry::State::live;
    entries_.owe(entry, Entry::kSpawned);
  }
  return true;
}

// Removed from epoll by name: a child that was forked meanwhile may still hold the same open pipe.
void Keeper::close_pipe(Entry& entry) {
  watch(EPOLL_CTL_DEL, entry.error_pipe.get(), 0, kPipeTag);
  entry.error_pipe.reset();
}

void Keeper::on_link(uint32_t events) {
  if (!life_.socket) return;
  if ((events & EPOLLOUT) != 0 && !retry_at_) blocked_ = false;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    deaf_ = true;
    blocked_ = false;
  }
  flush();
  if (!blocked_ && !read_requests(kRequestsPerTurn)) {
    drop_link();
    if (life_.pid == 0) supervisor_gone();
    return;
  }
  // While blocked nothing is read, so that each request finds the answer to the former one sent.
  const uint32_t wanted = !blocked_ ? uint32_t{EPOLLIN} : retry_at_ ? 0u : uint32_t{EPOLLOUT};
  watch(EPOLL_CTL_MOD, life_.socket.get(), wanted, kLinkTag);
}

void Keeper::on_time() {
  const Millis at = now();
  if (retry_at_ && *retry_at_ <= at) {
    retry_at_.reset();
    blocked_ = false;
    on_link(0);
  }
  if (restart_at_ && *restart_at_ <= at) {
    restart_at_.reset();
    start_supervisor();
  }
  if (upgrade_.due && *upgrade_.due <= at) on_checker_late();
  if (owner_at_ && *owner_at_ <= at) follow_owner();
  if (repeat_at_ && *repeat_at_ <= at) repeat_due();
  if (terminate_at_ && *terminate_at_ <= at) on_terminate_deadline();
}

// The supervisor that started it in a lost one's place is ending, and that is no order to end.
void Keeper::follow_owner() {
  owner_at_.reset();
  if (heir_of_ != 0 && getppid() == heir_of_) {
    owner_at_ = now() + kOwnerSoon;
    return;
  }
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  // It may have ended before this was asked for: somebody else adopted this process.
  if (heir_of_ != 0 && settings_.owner != 0 && getppid() != settings_.owner) kill(getpid(), SIGTERM);
}

void Keeper::start_supervisor() {
  life_began_ = now();
  Result<Life> life = fail("");
  try {
    life = settings_.start_supervisor();
  } catch (const std::bad_alloc&) {  // tried again as any other that fails at once
  }
  if (!life) {
    supervisor_gone();
    return;
  }
  life_ = std::move(*life);
  serial_ = 0;
  watch(EPOLL_CTL_ADD, life_.socket.get(), EPOLLIN, kLinkTag);
}

// What the dead one had sent still counts: it may have acted on it, or noted it, before.
void Keeper::supervisor_gone() {
  if (life_.socket) {
    deaf_ = true;
    blocked_ = false;
    constexpr int kAll = INT_MAX;
    read_requests(kAll);
    drop_link();
  }
  life_.pid = 0;
  if (inheriting_) inheritance_lost();
  if (shutdown_) {
    done_ = true;
    return;
  }
  upgrade_or_go_on();
  if (phase_ == Phase::asked) {
    // A successor that dies again and again does not move the deadline.
    if (!terminate_at_ || extended_) terminate_at_ = now() + kSuccessorTime;
    extended_ = reacted_ = false;
  }
  if (phase_ >= Phase::terminating) return;
  const bool short_life = now() - life_began_ < kQuickDeath;
  quick_lives_ = short_life ? quick_lives_ + 1 : 0;
  // One that served was killed from outside, and users wait for its successor; but a fault that strikes right
  // after the take-over must not become a busy loop.
  const bool failed = std::exchange(served_, false) ? short_life && quick_lives_ > kServedLives
                                                    : now() - life_began_ < kYoung;
  failures_ = failed ? failures_ + 1 : 0;
  // At once the first time; then twice as long each time, while they fail.
  restart_delay_ = failures_ < 2           ? Millis{0}
                   : restart_delay_.n == 0 ? kFirstDelay
                                           : std::min(restart_delay_ * 2, kLongestDelay);
  set_safe(failures_ >= kFailures);
  restart_at_ = now() + restart_delay_;
}

void Keeper::drop_link() {
  if (life_.socket) watch(EPOLL_CTL_DEL, life_.socket.get(), 0, kLinkTag);
  life_.socket.reset();
  greeted_ = deaf_ = blocked_ = syncing_ = false;
  retry_at_.reset();
  refusal_.reset();
  upgrade_.refusal.reset();
  entries_.forget_owed();  // hello will ask for all of it
}

}  // namespace tend::keeper
