#include "core/loop/timer.h"

namespace tend::loop {

Timer::Timer(Loop& loop, std::function<void()> fired) : handle_(new uv_timer_t), fired_(std::move(fired)) {
  uv_timer_init(loop.raw(), handle_.get());
  handle_->data = this;
}

void Timer::start(Millis delay) {
  // uv_now() is cached from the start of the turn; without the update a long turn shortens the delay.
  uv_update_time(handle_->loop);
  uv_timer_start(
      handle_.get(),
      [](uv_timer_t* raw) {
        if (auto* self = static_cast<Timer*>(raw->data)) self->fired_();
      },
      delay.n > 0 ? static_cast<uint64_t>(delay.n) : 0, 0);
}

void Timer::stop() { uv_timer_stop(handle_.get()); }

}  // namespace tend::loop
