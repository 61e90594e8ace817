#include "core/health/autopsy.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>

#include "ipc/msgpack.h"

namespace tend::health {
namespace {

constexpr std::size_t kMostText = 1u << 20;
constexpr Millis kForUs{8};        // of the limit: the helper's end, reading, parsing
constexpr Millis kLeast{10};       // what the helper gets at least
constexpr int kMostReapWait = 50;  // ms; a killed helper is gone in well below one

}  // namespace

Value last_report(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = text.rfind('\n');
    if (end == std::string_view::npos) break;
    const std::size_t before = end == 0 ? std::string_view::npos : text.rfind('\n', end - 1);
    const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
    if (auto value = ipc::from_json(text.substr(begin, end - begin)); value && value->is<Map>())
      return std::move(*value);
    text = text.substr(0, begin);
  }
  return {};
}

Autopsy::Autopsy(loop::Loop& loop, std::string program, Request request, Done done)
    : request_(std::move(request)), done_(std::move(done)), deadline_(loop, [this] { finish(); }) {
  if (const Status spawned = spawn(program); !spawned) {
    trouble_ = "no autopsy: " + spawned.error().message;
    deadline_.start(Millis{0});
    return;
  }
  deadline_.start(request_.limit);
  poll_ = std::make_unique<loop::Poll>(loop, in_.get(), [this](int) { on_readable(); });
  poll_->watch(UV_READABLE);
}

Autopsy::~Autopsy() {
  poll_.reset();
  end_helper();
}

Status Autopsy::spawn(const std::string& program) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe");
  in_ = UniqueFd(ends[0]);
  const UniqueFd out(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&actions, out.get(), 1);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  sigset_t none, usual;
  ::sigemptyset(&none);
  ::sigfillset(&usual);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &usual);
  ::posix_spawnattr_setpgroup(&attributes, 0);  // with what the helper starts
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const std::string pid = std::to_string(request_.pid);
  const std::string ms = std::to_string(std::max(request_.limit - kForUs, kLeast).n);
  const std::string start = std::to_string(request_.start);
  const char* argv[] = {"tend: autopsy",       pid.c_str(),   ms.c_str(),
                        request_.mode.c_str(), start.c_str(), nullptr};
  const char* envp[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", nullptr};
  const int error = ::posix_spawn(&helper_, program.c_str(), &actions, &attributes, const_cast<char**>(argv),
                                  const_cast<char**>(envp));
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    helper_ = 0;
    return fail_errno(program, error);
  }
  exited_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, helper_, 0)));
  return {};
}

void Autopsy::on_readable() {
  char piece[16 * 1024];
  const ssize_t n = ::read(in_.get(), piece, sizeof piece);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0 || text_.size() + static_cast<std::size_t>(n) > kMostText) return finish();
  text_.append(piece, static_cast<std::size_t>(n));
}

// A killed helper is waited for on the spot: it is ours, small, and holds nothing, so that takes
// microseconds. One that the kernel cannot end just now is left a zombie rather than waited for.
void Autopsy::end_helper() {
  if (helper_ == 0) return;
  ::kill(-helper_, SIGKILL);
  pollfd p{exited_.get(), POLLIN, 0};
  if (exited_) ::poll(&p, 1, kMostReapWait);
  while (::waitpid(helper_, nullptr, WNOHANG) < 0 && errno == EINTR) {
  }
  helper_ = 0;
}

void Autopsy::finish() {
  poll_.reset();
  deadline_.stop();
  // At the deadline the last line may lie in the pipe still: the loop was busy elsewhere.
  char piece[16 * 1024];
  for (ssize_t n = 1; helper_ != 0 && n > 0 && text_.size() < kMostText;) {
    n = ::read(in_.get(), piece, sizeof piece);
    if (n > 0) text_.append(piece, static_cast<std::size_t>(n));
  }
  end_helper();
  Value report = last_report(text_);
  if (report.is_null()) {
    if (trouble_.empty()) trouble_ = "no autopsy: the process was gone, or nothing was seen in time";
    report = Map{{"pid", int64_t{request_.pid}}, {"mode", "kernel"}, {"note", trouble_}};
  }
  const Done done = std::move(done_);
  done(std::move(report));
}

}  // namespace tend::health
