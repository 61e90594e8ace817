#include "ipc/fd_passing_linux.h"

#include <sys/socket.h>

#include <cstring>

namespace tend::ipc {
namespace {

struct Control {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * 253) + CMSG_SPACE(sizeof(ucred))> bytes{};
};

}  // namespace

Result<std::size_t> send_with_fds(int socket, std::span<const std::byte> bytes, std::span<const int> fds) {
  if (bytes.empty() || fds.size() > kMaxPassedFds) return fail_errno("pass descriptors", EINVAL);
  Control control;
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(head), fds.data(), fds.size_bytes());
  }
  for (;;) {
    const ssize_t n = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EINTR) return fail_errno("pass descriptors");
  }
}

Result<std::size_t> receive_with_fds(int socket, std::span<std::byte> into, PassedFds& passed) {
  passed.count = 0;
  passed.pid = 0;
  passed.uid = static_cast<uid_t>(-1);
  Control control;
  iovec part{into.data(), into.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  ssize_t n = 0;
  do {
    n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return fail_errno("receive descriptors");
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_CREDENTIALS) {
      ucred who{};
      std::memcpy(&who, CMSG_DATA(head), sizeof who);
      passed.pid = who.pid;
      passed.uid = who.uid;
    }
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count && passed.count < passed.fds.size(); ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof fd);
      passed.fds[passed.count++].reset(fd);
    }
  }
  passed.truncated = (message.msg_flags & MSG_TRUNC) != 0;
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    for (std::size_t i = 0; i < passed.count; ++i) passed.fds[i].reset();
    passed.count = 0;
    return fail("receive descriptors: some were lost on the way, is the limit of open files too low?",
                EMFILE);
  }
  return static_cast<std::size_t>(n);
}

}  // namespace tend::ipc
