// What a process executes.
#pragma once

#include <sys/types.h>

#include <string>

namespace tend {

// The link in /proc, which is the running program even when its file is gone; without /proc the path by which
// it was executed, REQUIRES then: the working directory is what it was. "" when that cannot be told.
std::string own_program();
// Where its file is, or was (then with " (deleted)" behind it, as the kernel tells it); without /proc as
// above.
std::string path_of_own_program();
// The same of another process; "" where it cannot be told.
std::string path_of_program(pid_t pid);

}  // namespace tend
