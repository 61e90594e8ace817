// The manager's end of Node's IPC channel (protocols.md 1: NODE_CHANNEL_FD, JSON lines). Frames in are whole
// lines, looked at with MSG_PEEK, handled, then consumed, so that a successor finds what was not handled; it
// may see the one that was being handled once more.
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
  // `message` gets each JSON value that the app sent. A handle is ACKed and closed, its message passed on.
  // Garbage lines are dropped. Lines above 16 MiB are skipped.
  NodeChannel(loop::Loop& loop, UniqueFd socket, std::function<void(Value)> message,
              std::function<void()> closed);
  ~NodeChannel();
  NodeChannel(const NodeChannel&) = delete;
  NodeChannel& operator=(const NodeChannel&) = delete;
  // One line; queued while the socket is full, at most 1 MiB, then false. `fd` (borrowed) rides on it: then
  // `message` is a NODE_HANDLE envelope (protocols.md 1.4), and a duplicate waits where the line has to.
  bool send(const Value& message, int fd = -1);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the callback that is running while it is destroyed
};

}  // namespace tend::ipc
