#pragma once

#include <memory>
#include <string>

#include "core/base/log.h"

namespace tend::supervisor {

// Appends to `path` (0600, no symlink followed), made anew a second after it was moved or removed; to nowhere
// while it cannot be opened. From 10 MB on it is put aside as `path`.1, over the one before. `pm2`: PM2's
// line format.
std::unique_ptr<Log> make_file_log(const std::string& path, bool pm2);

}  // namespace tend::supervisor
