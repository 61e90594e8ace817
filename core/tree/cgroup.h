// The cgroups of one daemon: <base>/tend-<hash of home>-<first keeper's pid>/<id>.<spawn>. A group's path is
// a function of what a successor supervisor knows too, so it finds the groups of living apps by their
// existence.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/loop/loop.h"
#include "core/loop/poll.h"
#include "core/tree/group_limits.h"
#include "core/tree/process_tree.h"

namespace tend::tree {

class Cgroups {
 public:
  // Removes what dead daemons of this home left. TEND_NO_CGROUP in the environment turns groups off.
  Cgroups(loop::Loop& loop, const std::string& home, Lineage lineage);
  ~Cgroups();
  Cgroups(const Cgroups&) = delete;
  Cgroups& operator=(const Cgroups&) = delete;

  // Empty where there is no writable cgroup v2.
  UniqueFd make(uint32_t id, uint32_t spawn, const GroupLimits& limits);
  // Those of the limits that its group does not keep.
  GroupLimits missing(uint32_t id, uint32_t spawn, GroupLimits limits) const;
  // How many of its processes the kernel has just ended for want of memory; none: it does not say.
  std::optional<int64_t> oom_kills(uint32_t id, uint32_t spawn) const;
  bool exists(uint32_t id, uint32_t spawn) const;
  std::vector<int> pids(uint32_t id, uint32_t spawn) const;
  // Anew, after the controllers were taken (make_room_for_unit).
  void limit(uint32_t id, uint32_t spawn, const GroupLimits& limits);
  void kill(uint32_t id, uint32_t spawn) const;
  // Calls `empty` once, later on the loop, when no process is in the group. False: it cannot be watched.
  bool await(uint32_t id, uint32_t spawn, std::function<void()> empty);
  void forget(uint32_t id, uint32_t spawn);
  void remove(uint32_t id, uint32_t spawn);  // REQUIRES: empty, or soon so (tried again later)

 private:
  std::string path(uint32_t id, uint32_t spawn) const;
  bool probe();
  void share_controllers();
  bool open_inotify();
  void watch_ooms(const std::string& group);
  void on_inotify();

  loop::Loop& loop_;
  std::string base_;  // that of the daemons
  std::string root_;  // our own directory in it; empty: no cgroups
  enum class Works : uint8_t { unknown, yes, no } works_ = Works::unknown;
  struct Watch {
    std::string group;
    std::function<void()> empty;
  };
  UniqueFd inotify_;
  std::unique_ptr<loop::Poll> poll_;
  std::unordered_map<int, Watch> watches_;  // by watch descriptor
  struct Oom {
    std::string group;
    int64_t seen = 0, last = 0;  // kills: all that are known, and of the last time
    std::chrono::steady_clock::time_point at;
  };
  std::unordered_map<int, Oom> ooms_;  // likewise
  std::vector<std::string> unremoved_;
};

}  // namespace tend::tree
