// The last words of a daemon that crashes.
#pragma once

#include <string>

namespace tend {

// From now on a fault or abort() of this process writes a line and the return addresses (addr2line -e tend)
// behind the end of `file`, before the signal takes its course. `who` names the process there. Once a
// process; not under a sanitizer, which reports by itself.
void trace_crashes(const std::string& file, const std::string& who);

}  // namespace tend
