// Inside this room: runs a piece of JavaScript in a node of its own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/config/config.h"

namespace tend::config {

// What `code` wrote to descriptor 3; `arguments` are process.argv from 1 on. After 10 s, or 16 MiB, the whole
// process group is killed. The error is the last line that the child wrote to stderr. Its stdout goes to our
// stderr.
Result<std::string> run_node(const std::string& code, const std::vector<std::string>& arguments,
                             const Context& context);

}  // namespace tend::config
