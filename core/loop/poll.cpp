#include "core/loop/poll.h"

namespace tend::loop {

Poll::Poll(Loop& loop, int fd, std::function<void(int)> ready) : ready_(std::move(ready)) {
  auto* raw = new uv_poll_t;
  if (uv_poll_init(loop.raw(), raw, fd) != 0) {
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
    if (self != nullptr) self->ready_(status < 0 ? self->events_ : now);
  });
}

void Poll::stop() { watch(0); }

}  // namespace tend::loop
