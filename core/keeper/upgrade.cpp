// The program of the keeper is replaced by execve: pid, children and descriptors stay. First the new one says
// in a child of its own that it can read what it would be left; then the supervisor is ended, so that nothing
// is under way; then the tables go into a memfd. Whatever fails, this program goes on.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>

#include "core/keeper/home_lock.h"
#include "core/keeper/keeper.h"
#include "core/keeper/state.h"
#include "core/keeper/wire.h"

namespace tend::keeper {
namespace {

constexpr Millis kCheckTime{10'000};

void keep_over_exec(const StateReader& state, bool keep) {
  state.each_fd([keep](int fd) { fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC); });
}

// Returns only if it fails.
void execute(int program, std::vector<std::string> arguments) {
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::array<char, 32> path{};
  std::snprintf(path.data(), path.size(), "/proc/self/fd/%d", program);
  execve(path.data(), argv.data(), environ);
}

// In the child; it holds what the new keeper would, the lock of the home too, and so must not outlive this
// one.
[[noreturn]] void check(int program, int state, int answer, const std::vector<std::string>& arguments) {
  default_signals();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (const auto reader = StateReader::open(state)) keep_over_exec(*reader, true);
  fcntl(state, F_SETFD, 0);
  fcntl(answer, F_SETFD, 0);
  empty_signal_mask();
  execute(program, {arguments[0], "--check-state", arguments[1], arguments[2], std::to_string(state),
                    std::to_string(answer)});
  const char* why = std::strerror(errno);
  [[maybe_unused]] const ssize_t n = write(answer, why, std::strlen(why));
  _exit(127);
}

// Who is at the other end, of a supervisor that is no child.
pid_t peer_of(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid == getpid()) return 0;
  return peer.pid;
}

}  // namespace

int Keeper::on_upgrade(Received& request) {
  if (request.fd_count != 1) return EBADF;
  if (settings_.home == nullptr) return EOPNOTSUPP;
  if (upgrade_.stage != Upgrade::Stage::none) return EBUSY;
  if (phase_ != Phase::none || shutdown_) return ECANCELED;
  const Result<UniqueFd> state = save();
  if (!state) return ENOSPC;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return errno;
  UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return errno;
  if (pid == 0) check(request.fds[0].get(), state->get(), theirs.get(), settings_.arguments);
  upgrade_.stage = Upgrade::Stage::checking;
  upgrade_.program = std::move(request.fds[0]);
  upgrade_.answer = std::move(ours);
  upgrade_.checker = pid;
  upgrade_.serial = request.message.serial;
  upgrade_.due = now() + kCheckTime;
  upgrade_.late = false;
  return 0;
}

void Keeper::on_checker_late() {
  upgrade_.due.reset();
  upgrade_.late = true;
  kill(upgrade_.checker, SIGKILL);
}

void Keeper::on_checker_end(int status) {
  const UniqueFd answer = std::move(upgrade_.answer);
  upgrade_.checker = 0;
  upgrade_.due.reset();
  if (upgrade_.stage != Upgrade::Stage::checking) return;  // nobody waits for it any more
  std::array<char, kNameSize> said{};
  const ssize_t n = read(answer.get(), said.data(), said.size() - 1);
  const bool proof = n == static_cast<ssize_t>(sizeof settings_.epoch) &&
                     std::memcmp(said.data(), &settings_.epoch, sizeof settings_.epoch) == 0;
  if (upgrade_.late) return refuse_upgrade(ETIMEDOUT);
  if (!proof || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return refuse_upgrade(ENOEXEC, proof || n <= 0 ? std::string_view() : std::string_view(said.data()));
  }
  if (phase_ != Phase::none || shutdown_) return refuse_upgrade(ECANCELED);
  const pid_t supervisor = life_.pid > 0 ? life_.pid : life_.socket ? peer_of(life_.socket.get()) : 0;
  if (supervisor <= 0 || kill(supervisor, SIGKILL) != 0) return refuse_upgrade(ESRCH);
  upgrade_.stage = Upgrade::Stage::ending;
}

void Keeper::refuse_upgrade(int code, std::string_view text) {
  upgrade_.stage = Upgrade::Stage::none;
  upgrade_.program.reset();
  Message m;
  m.kind = Kind::refused;
  m.a = code;
  m.b = static_cast<int64_t>(upgrade_.serial);
  m.c = static_cast<int64_t>(Kind::upgrade);
  text.copy(m.name, sizeof m.name - 1);
  upgrade_.refusal = m;
  flush();
}

// The supervisor is gone: by this order, or in the middle of the check, and then who asked is gone too.
void Keeper::upgrade_or_go_on() {
  if (upgrade_.stage == Upgrade::Stage::ending && phase_ == Phase::none) execute_successor();
  if (upgrade_.checker > 0) kill(upgrade_.checker, SIGKILL);
  upgrade_.stage = Upgrade::Stage::none;
  upgrade_.program.reset();
}

Result<UniqueFd> Keeper::save() {
  StateHead head;
  head.epoch = settings_.epoch;
  head.started = started_.n;
  head.nofile = settings_.defaults.nofile.rlim_cur;
  head.nofile_most = settings_.defaults.nofile.rlim_max;
  head.umask = settings_.defaults.umask;
  const auto& score = settings_.defaults.oom_score_adj;
  std::copy(score.begin(), score.end(), head.oom_score_adj);
  head.flags = (first_ ? kNoSupervisorYet : 0) | (reopen_owed_ ? kReopenOwed : 0);
  head.upgrades = upgrade_.done + 1;
  settings_.home->save(head);
  return write_state(head, entries_, held_);
}

// The signals that are handled stay blocked: what comes in between is pending for the new program, and a
// child that ends is found by its waitpid.
void Keeper::execute_successor() {
  const Result<UniqueFd> state = save();
  if (!state) return;
  const Result<StateReader> reader = StateReader::open(state->get());
  if (!reader) return;
  std::vector<std::string> arguments = settings_.arguments;
  arguments[3] = "state:" + std::to_string(state->get());
  keep_over_exec(*reader, true);
  fcntl(state->get(), F_SETFD, 0);
  execute(upgrade_.program.get(), std::move(arguments));
  keep_over_exec(*reader, false);
}

void Keeper::restore(const StateReader& state) {
  const StateHead& head = state.head();
  started_ = Millis{head.started};
  first_ = (head.flags & kNoSupervisorYet) != 0;
  reopen_owed_ = (head.flags & kReopenOwed) != 0;
  upgrade_.done = head.upgrades;
  for (size_t i = 0; i < state.entries(); ++i) {
    const StateEntry item = state.entry(i);
    Entry& entry = *entries_.add(item.id, item.spawn);
    entry.pid = item.pid;
    entry.state = static_cast<Entry::State>(item.state);
    entry.adopted = item.adopted != 0;
    entry.error_pipe.reset(item.error_pipe);
    entry.pidfd.reset(item.pidfd);
    entry.result = item.result;
    entry.detail = item.detail;
    entry.repeats = item.repeats;
    if (item.blob >= 0) {
      entry.again = std::make_unique<Again>();
      entry.again->how = item.how;
      entry.again->blob.reset(item.blob);
      entry.again->cgroup.reset(item.cgroup);
      entry.again->delay = Millis{item.delay};
      for (uint32_t n = 0; n < item.same_count; ++n) entry.again->same.emplace_back(item.same[n]);
    }
    if (entry.error_pipe) watch(EPOLL_CTL_ADD, entry.error_pipe.get(), EPOLLIN, kPipeTag);
    if (entry.adopted && entry.alive()) watch(EPOLL_CTL_ADD, entry.pidfd.get(), EPOLLIN, kAdoptedTag);
  }
  for (size_t i = 0; i < state.held(); ++i) {
    const StateHeld item = state.held(i);
    held_.hold(item.name, UniqueFd(item.fd));
  }
  reap();
}

}  // namespace tend::keeper
