// The main thread's native stack, by eu-stack of elfutils where it is installed.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/autopsy/deadline.h"

namespace tend::autopsy {

// Function names, innermost first, at most 20; `note` says why there are none. Stops the process for the
// moment, by ptrace: REQUIRES a condemned one, with no tracer. The program is killed when the deadline
// passes.
std::vector<std::string> native_stack(pid_t pid, const Deadline& deadline, std::string& note);

}  // namespace tend::autopsy
