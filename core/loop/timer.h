#pragma once

#include <functional>

#include "core/base/units.h"
#include "core/loop/loop.h"

namespace tend::loop {

// Fires once per start(); start() again replaces the former deadline; destroying it cancels.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> fired);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  void start(Millis delay);  // a negative delay fires at once
  void stop();

 private:
  UvPtr<uv_timer_t> handle_;
  std::function<void()> fired_;
};

}  // namespace tend::loop
