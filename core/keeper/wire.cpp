#include "core/keeper/wire.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

namespace tend::keeper {
namespace {

constexpr int kBufferSize = 1 << 20;  // about a thousand reports towards a stopped supervisor

union Control {
  char bytes[CMSG_SPACE(sizeof(int) * kMaxFdsPerMessage)];
  cmsghdr align;
};

void take_descriptors(msghdr& header, Received& out) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      UniqueFd owned(fd);
      if (out.fd_count < out.fds.size()) out.fds[out.fd_count++] = std::move(owned);
    }
  }
}

}  // namespace

int send_message(int socket, const Message& message, std::span<const int> fds) {
  iovec data{const_cast<Message*>(&message), sizeof message};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  Control control{};
  if (!fds.empty()) {
    header.msg_control = control.bytes;
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
  }
  for (;;) {
    if (sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 0;
    if (errno != EINTR) return errno;
  }
}

Got receive_message(int socket, Received& out) {
  for (UniqueFd& fd : out.fds) fd.reset();
  out.fd_count = 0;
  out.message = Message{};
  iovec data{&out.message, sizeof out.message};
  Control control{};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes;
  header.msg_controllen = sizeof control.bytes;
  ssize_t n = 0;
  do {
    n = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? Got::nothing : Got::closed;
  take_descriptors(header, out);
  if (n == 0) return Got::closed;
  const bool whole = n == static_cast<ssize_t>(sizeof out.message) && (header.msg_flags & MSG_TRUNC) == 0;
  if (!whole) return Got::malformed;
  return (header.msg_flags & MSG_CTRUNC) != 0 ? Got::cut : Got::message;
}

int check_message(const Received& received, uint64_t epoch) {
  const Message& m = received.message;
  if (m.magic != kMagic) return EPROTO;
  if (m.version == 0 || m.version > kVersion) return EPROTONOSUPPORT;
  if (m.epoch != epoch) return ESTALE;
  if (m.fd_count != received.fd_count) return EBADF;
  if (std::memchr(m.name, 0, sizeof m.name) == nullptr) return ENAMETOOLONG;
  return 0;
}

bool message_pair(UniqueFd& a, UniqueFd& b) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) return false;
  a.reset(pair[0]);
  b.reset(pair[1]);
  for (int fd : pair) {
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &kBufferSize, sizeof kBufferSize) != 0) {
      setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kBufferSize, sizeof kBufferSize);
    }
  }
  return true;
}

}  // namespace tend::keeper
