// The manager's end of Node's IPC channel (protocols.md 1: NODE_CHANNEL_FD, JSON lines). Frames in are whole lines, looked
// at with MSG_PEEK, handled, then consumed, so that a successor finds what was not handled.
#pragma once

#include <functional>
#include <memory>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/loop/loop.h"
#include "core/model/value.h"

namespace tend::ipc {

class NodeChannel {
 public:
  // `message` gets each JSON value that the app sent; a handle is answered with NODE_HANDLE_NACK semantics kept for the
  // cluster work: until then ACKed and closed. Garbage lines are dropped. Lines above 16 MiB are skipped.
  NodeChannel(loop::Loop& loop, UniqueFd socket, std::function<void(Value)> message, std::function<void()> closed);
  ~NodeChannel();
  NodeChannel(const NodeChannel&) = delete;
  NodeChannel& operator=(const NodeChannel&) = delete;
  // One line; queued while the socket is full, at most 1 MiB, then false.
  bool send(const Value& message);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tend::ipc
