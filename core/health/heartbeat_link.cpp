#include "core/health/heartbeat_link.h"

#include <sys/socket.h>

#include <cerrno>

namespace tend::health {
namespace {

constexpr int kReadsPerTurn = 16;  // one that talks without end does not hold the loop

}  // namespace

HeartbeatLink::HeartbeatLink(loop::Loop& loop, ipc::BufferPool& pool, UniqueFd socket, Told told)
    : socket_(std::move(socket)),
      told_(std::move(told)),
      stream_(pool, {told_.pong, told_.garbage}),
      poll_(loop, socket_.get(), [this](int) { drain(); }) {
  poll_.watch(UV_READABLE);
}

bool HeartbeatLink::ping(uint32_t stream, uint64_t sequence, uint64_t mono_ns) {
  const auto frame = ipc::encode_ping(stream, sequence, mono_ns);
  return ::send(socket_.get(), frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
         static_cast<ssize_t>(frame.size());
}

void HeartbeatLink::drain() {
  for (int i = 0; i < kReadsPerTurn && open_; ++i) {
    const auto room = stream_.room();
    const ssize_t n = ::recv(socket_.get(), room.data(), room.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return stream_.filled(0);
    if (n <= 0) {
      open_ = false;
      poll_.stop();
      return told_.closed();
    }
    stream_.filled(static_cast<std::size_t>(n));
    if (static_cast<std::size_t>(n) < room.size()) return;  // the socket is empty
  }
}

}  // namespace tend::health
