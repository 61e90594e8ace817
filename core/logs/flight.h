// Inside this room.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace tend::logs {

// How many jobs are on the pool, so that the end of the writer can wait without the loop.
struct Flight {
  std::mutex mutex;
  std::condition_variable landed;
  int count = 0;
  std::atomic<bool> stop = false;

  void start() {
    const std::lock_guard lock(mutex);
    ++count;
  }
  void land() {
    const std::lock_guard lock(mutex);
    --count;
    landed.notify_all();
  }
};

}  // namespace tend::logs
