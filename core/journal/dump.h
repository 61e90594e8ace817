// save and resurrect: the list of apps on disk, spec only. Blocking: call on the pool.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/model/value.h"

namespace tend::journal {

// Replaces `path` atomically: temporary file in the same folder (0600), fsync, the former one kept as `path`.bak, rename,
// fsync of the folder. On any error the old file is untouched. `apps` is a list; the file is {"version": 1, "apps": […]}.
Status save_dump(const std::string& path, const Value& apps);
// The list of apps in `path`, or in `path`.bak when it is missing or damaged. Error names both and why; its code is ENOENT
// when neither exists. A dump of a newer version is an error.
Result<Value> load_dump(const std::string& path);

}  // namespace tend::journal
