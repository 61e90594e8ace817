// The manager's end of Node's IPC channel (protocols.md 1: NODE_CHANNEL_FD, JSON lines). Frames in are whole
// lines, looked at with MSG_PEEK, handled, then consumed, so that a successor finds what was not handled; it
// may see the one that was being handled once more.
//
// What is owed across a death of this process is told before it arises, for a place that outlives it. A
// handle is consumed, then ACKed: an app whose handle is not ACKed sends nothing more (protocols.md 1.4), so
// its successor finds the handle's line still there, or other lines, which say that the ACK arrived, or
// nothing. Then it cannot know whether the ACK was sent, and a second one would end the app: it asks
// (unsure(), and what the app's pong says), or, where nobody answers, sends it. Of a line that was too long
// to be looked at as a whole the rest is skipped. A line out of up to half of the socket's buffer is written
// whole or not at all; one beyond that (about 200 KB) would stay torn. Lines that wait here because the app
// does not read are lost with this process, but for an ACK.
#pragma once

#include <functional>
#include <memory>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/loop/loop.h"
#include "core/model/value.h"

namespace tend::ipc {

struct ChannelDebt {
  bool ack = false;        // a handle was consumed and not ACKed
  bool half_line = false;  // a line's begin was consumed, its end was not
  friend bool operator==(const ChannelDebt&, const ChannelDebt&) = default;
};

class NodeChannel {
 public:
  // `message` gets each JSON value that the app sent. A handle is ACKed and closed, its message passed on.
  // Garbage lines are dropped. Lines above 16 MiB are skipped. `left`: what a predecessor owed; `owes` is
  // told each change. `can_ask`: somebody will call resolve().
  NodeChannel(
      loop::Loop& loop, UniqueFd socket, std::function<void(Value)> message, std::function<void()> closed,
      ChannelDebt left = {}, std::function<void(const ChannelDebt&)> owes = [](const ChannelDebt&) {},
      bool can_ask = false);
  ~NodeChannel();
  NodeChannel(const NodeChannel&) = delete;
  NodeChannel& operator=(const NodeChannel&) = delete;
  // It is not known whether a predecessor's ACK was sent. Until resolve() none is.
  bool unsure() const;
  // The app has read all that was ever sent to it: what it says from now on is about all of that.
  bool all_read() const;
  void resolve(bool app_awaits_ack);
  // One line; queued while the socket is full, at most 1 MiB, then false. `fd` (borrowed) rides on it: then
  // `message` is a NODE_HANDLE envelope (protocols.md 1.4), and a duplicate waits where the line has to.
  bool send(const Value& message, int fd = -1);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the callback that is running while it is destroyed
};

}  // namespace tend::ipc
