#pragma once

#include <functional>

#include "core/base/unique_fd.h"
#include "core/loop/loop.h"

namespace tend::loop {

// Readiness of one descriptor. Level-triggered. At most one Poll per descriptor. The owner keeps the
// descriptor open while watching; stop() or destroy before closing it. Sets O_NONBLOCK on it.
class Poll {
 public:
  // `ready` gets a mask of UV_READABLE, UV_WRITABLE, UV_DISCONNECT, UV_PRIORITIZED; a poll error (EBADF and
  // the like) arrives as every bit that was asked for, so that the next system call reports it.
  Poll(Loop& loop, int fd, std::function<void(int)> ready);
  Poll(const Poll&) = delete;
  Poll& operator=(const Poll&) = delete;
  void watch(int events);
  void stop();

 private:
  UvPtr<uv_poll_t> handle_;
  std::function<void(int)> ready_;
  int events_ = 0;
};

}  // namespace tend::loop
