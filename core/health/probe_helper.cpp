#include "core/health/probe_helper.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace tend::health {
namespace {

constexpr std::size_t kMaxQueued = 16u << 20;
constexpr int kReadsPerTurn = 16;
constexpr char kTitle[] = "tend: probe";

class Actions {
 public:
  Actions() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
  }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
  ~Actions() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }

  // REQUIRES: `socket` is above kProbeSocket, so that placing it covers nothing that is still needed.
  int spawn(const std::string& program, int socket, pid_t& pid) {
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    // A session of its own: the terminal of a supervisor in the foreground is none of its business.
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
    posix_spawn_file_actions_adddup2(&actions_, socket, kProbeSocket);
    posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions_, 0, 1);
    posix_spawn_file_actions_adddup2(&actions_, 0, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions_, kProbeSocket + 1);
    char title[sizeof kTitle];
    std::copy(std::begin(kTitle), std::end(kTitle), title);
    char* const argv[] = {title, nullptr};
    return posix_spawn(&pid, program.c_str(), &actions_, &attributes_, argv, environ);
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

Result<std::unique_ptr<ProbeHelper>> ProbeHelper::start(loop::Loop& loop, const std::string& program,
                                                        Events events) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("socketpair");
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const UniqueFd high(::fcntl(theirs.get(), F_DUPFD_CLOEXEC, kProbeSocket + 1));
  if (!high) return fail_errno("fcntl");
  theirs.reset();
  pid_t pid = -1;
  if (const int error = Actions().spawn(program, high.get(), pid); error != 0)
    return fail_errno(program, error);
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) {
    const int error = errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return fail_errno("pidfd_open", error);
  }
  return std::unique_ptr<ProbeHelper>(
      new ProbeHelper(loop, pid, std::move(pidfd), std::move(ours), std::move(events)));
}

ProbeHelper::ProbeHelper(loop::Loop& loop, int pid, UniqueFd pidfd, UniqueFd socket, Events events)
    : events_(std::move(events)),
      pid_(pid),
      pidfd_(std::move(pidfd)),
      socket_(std::move(socket)),
      exit_poll_(std::make_unique<loop::Poll>(loop, pidfd_.get(), [this](int) { reap(); })),
      socket_poll_(std::make_unique<loop::Poll>(loop, socket_.get(), [this](int now) { on_socket(now); })) {
  exit_poll_->watch(UV_READABLE);
  watch();
}

ProbeHelper::~ProbeHelper() = default;

bool ProbeHelper::ask(uint32_t number, uint64_t sequence, const ProbeRequest& request) {
  if (ending_ || queue_.bytes() > kMaxQueued) return false;
  const std::vector<uint8_t> payload = encode(request);
  if (payload.size() > ipc::kMaxPayload) return false;
  queue_.push({ipc::FrameKind::request, 0, number, 0, sequence}, std::as_bytes(std::span(payload)));
  flush();
  return true;
}

void ProbeHelper::cancel(uint32_t number) {
  if (ending_) return;
  queue_.push({ipc::FrameKind::cancel, 0, number, 0, 0}, {});
  flush();
}

void ProbeHelper::end() {
  ending_ = true;
  socket_poll_->stop();
  ::shutdown(socket_.get(), SHUT_RDWR);
}

void ProbeHelper::kill() {
  end();
  ::kill(pid_, SIGKILL);  // not reaped yet, so the number is still its own
}

void ProbeHelper::on_socket(int events) {
  if ((events & UV_WRITABLE) != 0) flush();
  if ((events & UV_READABLE) != 0) read();
}

void ProbeHelper::read() {
  for (int i = 0; i < kReadsPerTurn && !ending_; ++i) {
    const std::span<std::byte> room = reader_.room();
    const ssize_t n = ::recv(socket_.get(), room.data(), room.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return kill();  // it ends, or is of no use any more
    reader_.filled(static_cast<std::size_t>(n));
    if (!take_frames()) return kill();
    if (static_cast<std::size_t>(n) < room.size()) return;
  }
}

bool ProbeHelper::take_frames() {
  ipc::Frame frame;
  for (;;) {
    const ipc::DecodeError e = reader_.next(frame);
    if (e == ipc::DecodeError::need_more) return true;
    if (e != ipc::DecodeError::none || frame.header.kind != ipc::FrameKind::reply) return false;
    auto reply = decode_reply(frame.payload);
    if (!reply) return false;
    events_.reply(frame.header.stream, frame.header.sequence, std::move(*reply));
  }
}

void ProbeHelper::flush() {
  if (!ending_ && queue_.flush(socket_.get()) == ipc::SendQueue::Flush::broken) return kill();
  watch();
}

void ProbeHelper::watch() {
  if (!ending_) socket_poll_->watch(UV_READABLE | (queue_.bytes() > 0 ? UV_WRITABLE : 0));
}

void ProbeHelper::reap() {
  read();  // what it said before its end
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) == 0) return;
  ending_ = true;
  exit_poll_->stop();
  events_.ended(*this, how_it_ended(status));
}

}  // namespace tend::health
