#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "core/tree/session.h"

namespace tend::tree {

bool proc_is_there() { return ::access("/proc/self/stat", R_OK) == 0; }

std::optional<ProcStat> session_leader(int pid) {
  if (pid <= 1 || ::getsid(pid) != pid) return std::nullopt;
  ProcStat leader;
  leader.pid = leader.session = pid;
  leader.state = 'S';
  return leader;
}

bool signal_group(int leader, int signal) {
  if (leader <= 1) return false;
  const bool ended = ::kill(leader, 0) != 0 && errno == ESRCH;
  return (ended || ::getsid(leader) == leader) && ::kill(-leader, signal) == 0;
}

}  // namespace tend::tree
