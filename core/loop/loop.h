// One libuv loop per process. REQUIRES: everything that lives on it is dropped before it is destroyed.
#pragma once

#include <uv.h>

#include <functional>
#include <vector>

#include "core/base/units.h"
#include "core/loop/handle.h"

namespace tend::loop {

class Loop {
 public:
  Loop();
  ~Loop();  // runs once more so that closing handles are freed
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void run();   // until stop() or nothing is left
  void stop();  // may be called from a callback
  uv_loop_t* raw() { return &loop_; }

  // Runs `task` after the present callback, before the loop sleeps again. Never called back recursively.
  void defer(std::function<void()> task);

 private:
  static void on_idle(uv_idle_t* idle);
  uv_loop_t loop_{};
  UvPtr<uv_idle_t> idle_;
  std::vector<std::function<void()>> tasks_;
};

}  // namespace tend::loop
