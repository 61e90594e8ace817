// What the processes of one cgroup may use together.
#pragma once

#include <cstdint>

namespace tend::tree {

// 0 everywhere: no limit.
struct GroupLimits {
  int64_t memory = 0;  // bytes
  int64_t cpu = 0;     // microseconds of CPU time in each 100 ms
  int64_t pids = 0;    // processes and threads
  bool any() const { return memory != 0 || cpu != 0 || pids != 0; }
};

}  // namespace tend::tree
