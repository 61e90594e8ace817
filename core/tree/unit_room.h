// For the ExecStopPost= of the unit that `tend startup` writes.
#pragma once

namespace tend::tree {

// systemd before 254 starts a unit's main process in the unit's own group, which it cannot while that shares
// its controllers with the groups of apps (cgroups(7), "no internal processes"): takes them. Limits do not
// hold until Cgroups::limit(). False: this process is not in such a unit.
bool make_room_for_unit();

}  // namespace tend::tree
