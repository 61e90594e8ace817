#include "core/loop/loop.h"

#include <cassert>

namespace tend::loop {

Loop::Loop() {
  uv_loop_init(&loop_);
  idle_.reset(new uv_idle_t);
  uv_idle_init(&loop_, idle_.get());
  idle_->data = this;
}

Loop::~Loop() {
  idle_.reset();
  uv_run(&loop_, UV_RUN_DEFAULT);
  [[maybe_unused]] const int busy = uv_loop_close(&loop_);
  assert(busy == 0);
}

void Loop::run() { uv_run(&loop_, UV_RUN_DEFAULT); }
void Loop::stop() { uv_stop(&loop_); }

void Loop::defer(std::function<void()> task) {
  if (tasks_.empty()) uv_idle_start(idle_.get(), &Loop::on_idle);
  tasks_.push_back(std::move(task));
}

void Loop::on_idle(uv_idle_t* idle) {
  auto* self = static_cast<Loop*>(idle->data);
  if (self == nullptr) return;
  uv_idle_stop(idle);
  std::vector<std::function<void()>> tasks;
  tasks.swap(self->tasks_);
  for (auto& task : tasks) task();
}

}  // namespace tend::loop
