#pragma once

#include <memory>
#include <string>

#include "core/base/log.h"

namespace tend::supervisor {

// Appends to `path` (0600, no symlink followed); to nowhere when it cannot be opened. `pm2`: PM2's line
// format.
std::unique_ptr<Log> make_file_log(const std::string& path, bool pm2);

}  // namespace tend::supervisor
