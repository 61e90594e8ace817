// Memory and CPU of processes from /proc, read on request (settled 26). Held descriptors: a second look costs a pread.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "core/base/units.h"
#include "core/base/unique_fd.h"

namespace tend::metrics {

struct Usage {
  int64_t memory = 0;  // resident bytes
  double cpu = 0;      // percent of one core since the former look
};

class ProcTable {
 public:
  // Usage of `pid` now; a sample younger than `fresh` is returned as it is. Zero when the process is gone.
  Usage look(int pid, Millis now, Millis fresh = Millis{2000});
  void forget(int pid);

 private:
  struct Entry {
    UniqueFd stat;
    Usage last;
    int64_t ticks = 0;
    Millis at{-1};
  };
  std::unordered_map<int, Entry> entries_;
};

}  // namespace tend::metrics
