#include "ipc/notify_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/text.h"
#include "core/loop/poll.h"
#include "ipc/buffer_pool.h"
#include "ipc/fd_passing_linux.h"

namespace tend::ipc {
namespace {

constexpr int kDatagramsPerTurn = 64;  // one that talks without end does not hold the loop

}  // namespace

struct NotifySocket::Impl : std::enable_shared_from_this<NotifySocket::Impl> {
  Impl(loop::Loop& loop, UniqueFd fd, uid_t user, std::function<void(std::string_view, std::string_view)> f)
      : socket(std::move(fd)), uid(user), told(std::move(f)) {
    poll = std::make_unique<loop::Poll>(loop, socket.get(), [this](int) {
      const auto self = shared_from_this();  // a callback may destroy the socket
      self->read();
    });
    poll->watch(UV_READABLE);
  }

  void read() {
    PassedFds passed;
    for (int i = 0; i < kDatagramsPerTurn && poll; ++i) {
      std::byte room[kSlabSize];
      const auto size = receive_with_fds(socket.get(), room, passed);
      if (!size && size.error().code == EAGAIN) return;
      for (std::size_t n = 0; n < passed.count; ++n) passed.fds[n].reset();
      const bool stranger = passed.sender != 0 && passed.sender != ::geteuid() && passed.sender != uid;
      if (size && !passed.truncated && !stranger) tell({reinterpret_cast<const char*>(room), *size});
    }
  }

  void tell(std::string_view datagram) {
    for (const std::string& line : split(datagram, '\n')) {
      const auto equals = line.find('=');
      if (equals == std::string::npos || !poll) continue;
      told(std::string_view(line).substr(0, equals), std::string_view(line).substr(equals + 1));
    }
  }

  UniqueFd socket;
  uid_t uid;
  std::function<void(std::string_view, std::string_view)> told;
  std::unique_ptr<loop::Poll> poll;  // null: destroyed
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

NotifySocket::NotifySocket(loop::Loop& loop, UniqueFd socket, uid_t uid,
                           std::function<void(std::string_view, std::string_view)> told)
    : impl_(std::make_shared<Impl>(loop, std::move(socket), uid, std::move(told))) {}

NotifySocket::~NotifySocket() { impl_->poll.reset(); }

}  // namespace tend::ipc
