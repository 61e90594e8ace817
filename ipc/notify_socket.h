// The manager's end of NOTIFY_SOCKET (sd_notify(3), protocols.md 6): one socket for one process, so that who
// speaks is known without a look at /proc. Its name is abstract and the kernel's choice: an app of another
// user, or one that changed its root, reaches it; what comes from a stranger is dropped.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/loop/loop.h"

namespace tend::ipc {

class NotifySocket {
 public:
  // Bound, for the constructor, and what NOTIFY_SOCKET says of it: "@" and the name.
  static Result<UniqueFd> open();
  static Result<std::string> address(int fd);

  // `told` gets each KEY and VALUE that root, this user or `uid` sends. Descriptors that come along are
  // closed, which is what BARRIER=1 waits for. A datagram above 8 KB is dropped. `told` may destroy the
  // socket.
  NotifySocket(loop::Loop& loop, UniqueFd socket, uid_t uid,
               std::function<void(std::string_view key, std::string_view value)> told);
  ~NotifySocket();
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the callback that is running while it is destroyed
};

}  // namespace tend::ipc
