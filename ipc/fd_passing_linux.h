// Descriptors over a unix socket (SCM_RIGHTS).
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <span>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace tend::ipc {

inline constexpr std::size_t kMaxPassedFds = 250;  // the kernel's SCM_MAX_FD is 253

struct PassedFds {
  std::array<UniqueFd, 253> fds;
  std::size_t count = 0;
  pid_t pid = 0;  // the sender's, as uid, where SO_PASSCRED is on
  uid_t uid = static_cast<uid_t>(-1);
  bool truncated = false;  // a datagram that did not fit
};

// One sendmsg of `bytes` with all of `fds`. The number of bytes sent, which may be fewer; the descriptors
// ride on the first. Error: code EAGAIN when the socket is full, EINVAL when `bytes` is empty or the
// descriptors are too many.
Result<std::size_t> send_with_fds(int socket, std::span<const std::byte> bytes, std::span<const int> fds);

// One recvmsg. 0: the peer closed. Every descriptor is CLOEXEC at birth. Error: code EAGAIN, or EMFILE when
// descriptors were lost on the way (MSG_CTRUNC): those that arrived are closed.
Result<std::size_t> receive_with_fds(int socket, std::span<std::byte> into, PassedFds& passed);

}  // namespace tend::ipc
