// One line of /proc/<pid>/stat, and signals that cannot hit a reused pid.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/unique_fd.h"

namespace tend::tree {

struct ProcStat {
  int pid = 0;
  int ppid = 0;
  int session = 0;
  int threads = 0;
  char state = '?';
  uint64_t start =
      0;  // clock ticks since boot: with the pid, the identity of a process; 0: there is no /proc

  // A leader that ended before its threads is Z too, yet its process lives.
  bool living() const { return (state != 'Z' && state != 'X') || threads > 1; }
};

std::optional<ProcStat> read_stat(int pid);
// At most 1 MiB: what is read is a list of pids, a stat line or an environment. Empty when it cannot be read.
std::string read_small(const char* path);
// Empty when that very process is gone.
UniqueFd open_pidfd(const ProcStat& process);
bool send_signal(const ProcStat& process, int signal);

}  // namespace tend::tree
