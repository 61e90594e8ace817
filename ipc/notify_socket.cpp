#include "ipc/notify_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/base/text.h"
#include "core/loop/poll.h"
#include "ipc/buffer_pool.h"

namespace tend::ipc {
namespace {

constexpr std::size_t kMostFds = 253;  // SCM_MAX_FD: what the kernel passes at once
constexpr int kDatagramsPerTurn = 64;  // one that talks without end does not hold the loop

struct Datagram {
  ssize_t size = -1;  // -1: none; 0 also for what is not to be read
  bool whole = false;
  uid_t uid = static_cast<uid_t>(-1);
};

Datagram receive(int fd, std::span<std::byte> room) {
  Datagram out;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(kMostFds * sizeof(int))];
  iovec part{room.data(), room.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  out.size = ::recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (out.size < 0) return out;
  out.whole = (header.msg_flags & MSG_TRUNC) == 0;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET) continue;
    if (c->cmsg_type == SCM_CREDENTIALS) {
      ucred who{};
      std::memcpy(&who, CMSG_DATA(c), sizeof who);
      out.uid = who.uid;
    } else if (c->cmsg_type == SCM_RIGHTS) {
      const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i < count; ++i) {
        int passed = -1;
        std::memcpy(&passed, CMSG_DATA(c) + i * sizeof(int), sizeof passed);
        ::close(passed);
      }
    }
  }
  return out;
}

}  // namespace

struct NotifySocket::Impl {
  Impl(loop::Loop& loop, UniqueFd fd, uid_t user, std::function<void(std::string_view, std::string_view)> f)
      : socket(std::move(fd)),
        uid(user),
        told(std::move(f)),
        poll(loop, socket.get(), [this](int) { read(); }) {
    poll.watch(UV_READABLE);
  }

  void read() {
    const auto self = alive.lock();
    for (int i = 0; i < kDatagramsPerTurn && !closed; ++i) {
      std::byte room[kSlabSize];
      const Datagram d = receive(socket.get(), room);
      if (d.size < 0) return;
      if (!d.whole || (d.uid != 0 && d.uid != ::geteuid() && d.uid != uid)) continue;
      const std::string text(reinterpret_cast<const char*>(room), static_cast<std::size_t>(d.size));
      for (const std::string& line : split(text, '\n')) {
        const auto equals = line.find('=');
        if (equals == std::string::npos || closed) continue;
        told(std::string_view(line).substr(0, equals), std::string_view(line).substr(equals + 1));
      }
    }
  }

  UniqueFd socket;
  uid_t uid;
  std::function<void(std::string_view, std::string_view)> told;
  std::weak_ptr<Impl> alive;
  bool closed = false;
  loop::Poll poll;
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
    : impl_(std::make_shared<Impl>(loop, std::move(socket), uid, std::move(told))) {
  impl_->alive = impl_;
}

NotifySocket::~NotifySocket() {
  impl_->closed = true;
  impl_->poll.stop();
}

}  // namespace tend::ipc
