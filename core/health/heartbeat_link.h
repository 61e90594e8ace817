// The manager's end of one process' heartbeat channel: a socketpair of its own (settled 40). Pings out, pongs
// in.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "core/base/unique_fd.h"
#include "core/loop/poll.h"
#include "ipc/heartbeat_frames.h"

namespace tend::health {

class HeartbeatLink {
 public:
  struct Told {
    std::function<void(const ipc::Pong& pong, bool hello)> pong;
    std::function<void()> garbage;
    std::function<void()> closed;  // the other end is closed; nothing more comes
  };
  // No callback may destroy the link.
  HeartbeatLink(loop::Loop& loop, ipc::BufferPool& pool, UniqueFd socket, Told told);
  HeartbeatLink(const HeartbeatLink&) = delete;
  HeartbeatLink& operator=(const HeartbeatLink&) = delete;

  // False: the socket is full or closed, nothing was sent.
  bool ping(uint32_t stream, uint64_t sequence, uint64_t mono_ns);
  // Takes what is there now, so that nobody is judged by what lies unread.
  void drain();
  bool open() const { return open_; }

 private:
  UniqueFd socket_;
  Told told_;
  ipc::HeartbeatStream stream_;
  loop::Poll poll_;
  bool open_ = true;
};

}  // namespace tend::health
