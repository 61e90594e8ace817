// What an app may use, on its way to the kernel, and the kernel's part in its end.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "core/keeper/client.h"
#include "core/supervisor/instance.h"
#include "core/tree/process_tree.h"

namespace tend::supervisor {

tree::GroupLimits group_limits(const AppSpec& spec);
keeper::SpawnExtras extras_of(const AppSpec& spec);
// For limits that no cgroup keeps: rlimits, where there are any; and a line for people.
void use_rlimits(const Instance& app, const tree::GroupLimits& missing, keeper::SpawnExtras& extras);
std::string without_group_text(const Instance& app, const tree::GroupLimits& missing);
// That line for its present process: "" where its limits are kept, or nothing runs.
std::string unkept_text(const tree::ProcessTree& tree, const Instance& app);

// The limits of all living processes are set anew where their groups lost them: systemd 244 to 253 restarts
// the unit (make_room_for_unit).
void keep_again(tree::ProcessTree& tree, const std::map<uint32_t, std::unique_ptr<Instance>>& instances);

// Processes that the kernel has ended for want of memory, on the whole machine.
class OomCount {
 public:
  OomCount();
  int64_t more();  // since the last call; 0 where the kernel does not count them

 private:
  int64_t seen_ = 0;
};

// A process of which the keeper reports `status`: who sent the signal, as far as it can be known. "" for a
// code. REQUIRES: its cgroup is still there.
std::string killer_of(const tree::ProcessTree& tree, OomCount& count, const AppSpec& spec, uint32_t id,
                      uint32_t spawn, int status);

}  // namespace tend::supervisor
