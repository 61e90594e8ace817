// Where in a cgroup the daemons are, for who is not one of them: the unit that `tend startup` writes, and
// doctor.
#pragma once

#include <string>

namespace tend::tree {

// The group that the daemons share with their apps, of that in which a daemon or the unit's main process is.
std::string base_group(std::string group);

// systemd before 254 starts a unit's main process in the unit's own group, which it cannot while that shares
// its controllers with the groups of apps (cgroups(7), "no internal processes"): takes them. Limits do not
// hold until Cgroups::limit(). False: this process is not in such a unit.
bool make_room_for_unit();

}  // namespace tend::tree
