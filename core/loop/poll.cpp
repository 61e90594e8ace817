#include "core/loop/poll.h"

#include <cstdlib>
#include <utility>

namespace tend::loop {
namespace {

constexpr int kBroken = -1;  // of events_: no mask

}  // namespace

Poll::Poll(Loop& loop, int fd, std::function<void(int)> ready) : ready_(std::move(ready)) {
  auto* raw = new uv_poll_t;
  if (const int failed = uv_poll_init(loop.raw(), raw, fd); failed != 0) {
    // Somebody closed the descriptor that had this number and kept its poll: neither would be heard again.
    if (failed == UV_EEXIST) std::abort();
    delete raw;  // a descriptor that epoll refuses (a regular file): never ready
    return;
  }
  handle_.reset(raw);
  handle_->data = this;
}

void Poll::watch(int events) {
  if (!handle_ || events == events_) return;
  events_ = events;
  if (events == 0) {
    uv_poll_stop(handle_.get());
    return;
  }
  uv_poll_start(handle_.get(), events, [](uv_poll_t* raw, int status, int now) {
    auto* self = static_cast<Poll*>(raw->data);
    if (self == nullptr) return;
    if (status >= 0) return self->ready_(now);
    // libuv has stopped it. What there is to read comes before the error, so the owner may not have met that
    // yet.
    const int asked = std::exchange(self->events_, kBroken);
    self->ready_(asked);
    self = static_cast<Poll*>(raw->data);
    if (self != nullptr && self->events_ == kBroken) self->watch(asked);
  });
}

void Poll::stop() { watch(0); }

}  // namespace tend::loop
