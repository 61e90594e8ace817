// One message on the keeper's socket, with its descriptors. Used by both ends.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "core/base/unique_fd.h"
#include "core/keeper/protocol.h"

namespace tend::keeper {

struct Received {
  Message message;
  std::array<UniqueFd, kMaxFdsPerMessage> fds;
  size_t fd_count = 0;  // that came, whatever the message says
};

enum class Got { message, nothing, malformed, cut, closed };

// 0 or the errno; never blocks. REQUIRES: at most kMaxFdsPerMessage descriptors.
int send_message(int socket, const Message& message, std::span<const int> fds);
// Never blocks. `malformed`: the size is wrong. `cut`: this process had no room for all of its descriptors.
// What came was taken off the queue. A message of no bytes cannot be told from the end and counts as that.
Got receive_message(int socket, Received& out);
// The checks that both ends make; 0 or an errno.
int check_message(const Received& received, uint64_t epoch);
// SOCK_SEQPACKET, both ends CLOEXEC and non-blocking with large buffers. False: errno tells.
bool message_pair(UniqueFd& a, UniqueFd& b);

}  // namespace tend::keeper
