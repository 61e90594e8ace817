// A terminal on one app: its log files as they grow, and lines for its standard input.
#pragma once

#include <string>

#include "cmd/tend/session.h"

namespace tend::cli {

// Whole lines of `pending`, which keeps what has no end yet, each with `separator` for its newline. `at_end`:
// the last one counts without a newline too.
std::string take_lines(std::string& pending, std::string_view separator, bool at_end);

// `target`: one process. Ends at the end of standard input, a moment after the app's last answer. The exit
// status: kFailed when a line did not arrive.
int attach_to(Session& s, const std::string& target, const std::string& separator);

}  // namespace tend::cli
