// What this process executes.
#pragma once

#include <string>

namespace tend {

// The link in /proc, which is the running program even when its file is gone; without /proc the path by which
// it was executed, REQUIRES then: the working directory is what it was. "" when that cannot be told.
std::string own_program();

}  // namespace tend
