// The JavaScript stack of a blocked Node, through its inspector, which SIGUSR1 starts from a thread of its
// own.
#pragma once

#include <sys/types.h>

#include "core/autopsy/deadline.h"
#include "core/base/result.h"
#include "core/model/value.h"

namespace tend::autopsy {

// Sends SIGUSR1 through `pidfd`, finds the port, asks, and leaves the process paused. REQUIRES: the process
// is condemned and all of main.h's conditions hold; what it says is not trusted. The error is the note for a
// person.
Result<List> javascript_stack(pid_t pid, int pidfd, const Deadline& deadline);

}  // namespace tend::autopsy
