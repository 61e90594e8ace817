// Who else could use a port on loopback while the inspector is open.
#pragma once

#include <sys/types.h>

namespace tend::autopsy {

// Whether no uid but root's and `uid` has processes here. False where that cannot be known (/proc hides
// others' processes), and where a listening TCP socket belongs to somebody else: containers can share a
// network without sharing their processes. What a foreign container does without listening stays unseen.
// Blocks: some milliseconds for thousands of processes.
bool only_owner_and_root(uid_t uid);

}  // namespace tend::autopsy
