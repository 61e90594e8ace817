#include "ipc/notify_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "core/loop/poll.h"
#include "ipc/fd_passing_linux.h"

namespace tend::ipc {
namespace {

constexpr int kDatagramsPerTurn = 64;  // one that talks without end does not hold the loop

}  // namespace

struct NotifySocket::Impl : std::enable_shared_from_this<NotifySocket::Impl> {
  Impl(loop::Loop& l, UniqueFd fd, uid_t user, Told f)
      : loop(l), socket(std::move(fd)), uid(user), told(std::move(f)) {}

  void read() {
    PassedFds passed;
    for (int i = 0; i < kDatagramsPerTurn && open; ++i) {
      std::byte room[kMaxNotifySize];
      const auto size = receive_with_fds(socket.get(), room, passed);
      if (!size && size.error().code == EAGAIN) return;
      const bool stranger = passed.uid != 0 && passed.uid != ::geteuid() && passed.uid != uid;
      if (size && !passed.truncated && !stranger) tell({reinterpret_cast<const char*>(room), *size}, passed);
      for (std::size_t n = 0; n < passed.count; ++n) passed.fds[n].reset();
    }
  }

  void tell(std::string_view datagram, PassedFds& passed) {
    if (const auto message = parse_notify(datagram))
      told(*message, {passed.pid, passed.uid}, std::span(passed.fds).first(passed.count));
  }

  loop::Loop& loop;
  UniqueFd socket;
  uid_t uid;
  Told told;
  bool open = true;                  // false: destroyed
  std::unique_ptr<loop::Poll> poll;  // before the socket goes
};

Result<UniqueFd> NotifySocket::open() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("socket");
  sockaddr_un any{};
  any.sun_family = AF_UNIX;
  // The family alone: the kernel takes a free abstract name (unix(7), autobind).
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any.sun_family) != 0)
    return fail_errno("bind a notification socket");
  const int yes = 1;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) != 0)
    return fail_errno("SO_PASSCRED");
  return fd;
}

Result<std::string> NotifySocket::address(int fd) {
  sockaddr_un name{};
  socklen_t size = sizeof name;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0) return fail_errno("getsockname");
  constexpr std::size_t kHead = offsetof(sockaddr_un, sun_path) + 1;
  if (size <= kHead || name.sun_path[0] != '\0') return fail("a notification socket without a name");
  return "@" + std::string(name.sun_path + 1, size - kHead);
}

NotifySocket::NotifySocket(loop::Loop& loop, UniqueFd socket, uid_t uid, Told told)
    : impl_(std::make_shared<Impl>(loop, std::move(socket), uid, std::move(told))) {}

NotifySocket::~NotifySocket() {
  impl_->open = false;
  impl_->poll.reset();
}

void NotifySocket::listen() {
  if (impl_->poll) return;
  impl_->poll = std::make_unique<loop::Poll>(impl_->loop, impl_->socket.get(), [self = impl_.get()](int) {
    const auto kept = self->shared_from_this();  // a callback may destroy the socket
    kept->read();
  });
  impl_->poll->watch(UV_READABLE);
}

void NotifySocket::drain() {
  const auto kept = impl_;
  kept->read();
}

}  // namespace tend::ipc
