// What can be known of an app's processes where there is no /proc: the main one, which leads a session and a
// group, and the group as a whole.
#pragma once

#include <optional>

#include "core/tree/proc_stat.h"

namespace tend::tree {

bool proc_is_there();
// The process, without a start time: it lives, and leads a session as no other with that pid is likely to.
std::optional<ProcStat> session_leader(int pid);
// False: nobody was reached. A group whose leader has ended keeps its number to itself.
bool signal_group(int leader, int signal);

}  // namespace tend::tree
