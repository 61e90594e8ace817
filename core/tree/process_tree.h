// Which processes belong to an app, and how to reach all of them. By cgroup v2 where one can be written
// (cgroup.kill), else by a walk over /proc: ancestry from the main process, its session, and
// TEND_ID=<id>.<spawn> in the environment; repeated until none is left (the keeper is a subreaper, so orphans
// stay findable).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/loop/loop.h"
#include "core/tree/group_limits.h"

namespace tend::tree {

struct Member {
  uint32_t id = 0;
  uint32_t spawn = 0;
  int main_pid = 0;  // 0: not running, or gone
  friend auto operator<=>(const Member&, const Member&) = default;
};

// The keeper is the subreaper whose children strays become. If it took the place of a lost one, that one's
// children went to whoever adopts orphans here.
struct Lineage {
  int keeper = 0;
  int founder = 0;  // the first keeper: the cgroups of this daemon bear its number
  bool is_successor() const { return founder != keeper; }
};

class ProcessTree {
 public:
  // The home's folder makes the cgroup's name unique to this daemon; its mark (marks.h) is on all of its
  // processes.
  ProcessTree(loop::Loop& loop, Log& log, const std::string& home, std::string home_mark, Lineage lineage);
  ~ProcessTree();
  ProcessTree(const ProcessTree&) = delete;
  ProcessTree& operator=(const ProcessTree&) = delete;

  // The directory descriptor of a fresh cgroup for this process, for clone3; empty where there is no writable
  // cgroup.
  UniqueFd make_group(uint32_t id, uint32_t spawn, const GroupLimits& limits = {});
  // Those of the limits that the group of this process does not keep. Reads files of the kernel.
  GroupLimits missing(uint32_t id, uint32_t spawn, const GroupLimits& limits) const;
  // Anew, after the controllers were taken away from the daemon's cgroup.
  void limit(uint32_t id, uint32_t spawn, const GroupLimits& limits);
  // How many processes of its cgroup the kernel has ended for want of memory; none: there is nobody who would
  // know.
  std::optional<int64_t> oom_kills(uint32_t id, uint32_t spawn) const;
  // Sends `signal` once to each living process of the tree, deepest first, the main one last. Returns their
  // pids.
  std::vector<int> signal(const Member& m, int signal);
  // SIGKILL to everything left.
  void kill(const Member& m);
  // Calls `gone` on the loop, never inside this call, once no process of the tree is alive; REQUIRES that the
  // main process is dead and reaped or dying. `sweep`: SIGKILL whatever is found meanwhile. Waits on events,
  // does not poll.
  void await_empty(const Member& m, bool sweep, std::function<void()> gone);
  // Forgets the wait and removes the (empty) cgroup.
  void release(uint32_t id, uint32_t spawn);
  // Pids of the tree now, deepest first.
  std::vector<int> members(const Member& m) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tend::tree
