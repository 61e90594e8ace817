// The manager's end of NOTIFY_SOCKET (sd_notify(3), protocols.md 6): one socket for one process, so that whom
// a word is about is known without a look at /proc. Its name is abstract and the kernel's choice: an app of
// another user, or one that changed its root, reaches it. Anybody can: who spoke is told with each message.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/loop/loop.h"
#include "ipc/notify_message.h"

namespace tend::ipc {

// As the kernel says (SCM_CREDENTIALS). The process may have ended meanwhile; 0: one of another pid
// namespace.
struct NotifySender {
  pid_t pid = 0;
  uid_t uid = 0;
};

class NotifySocket {
 public:
  // `fds`: what came along; those that are not moved out are closed after the call. So a BARRIER=1 is
  // answered when all that was sent before it has been told.
  using Told =
      std::function<void(const NotifyMessage& message, const NotifySender& sender, std::span<UniqueFd> fds)>;

  // Bound, for the constructor, and what NOTIFY_SOCKET says of it: "@" and the name.
  static Result<UniqueFd> open();
  static Result<std::string> address(int fd);

  // `told` gets what root, this user or `uid` sends, in order; it may destroy the socket. A datagram that is
  // too long, or whose descriptors were lost, is dropped. Nothing is read before listen() or drain().
  NotifySocket(loop::Loop& loop, UniqueFd socket, uid_t uid, Told told);
  ~NotifySocket();
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  void listen();  // from now on; a second call changes nothing
  void drain();   // what is there now: the last words of a process that ended

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the callback that is running while it is destroyed
};

}  // namespace tend::ipc
