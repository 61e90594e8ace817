// save and resurrect: the list of apps on disk, spec only. Blocking: call on the pool.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/model/value.h"

namespace tend::journal {

// Replaces `path` atomically: temporary file in the same folder (0600), fsync, the former one kept as `path`.bak, rename,
// fsync of the folder. On any error the old file is untouched. `apps` is a list; the file is {"version": 1, "apps": […]};
// as_pm2: a list of PM2's records, so that PM2 itself resurrects it too.
Status save_dump(const std::string& path, const Value& apps, bool as_pm2 = false);
// The list of apps in `path`, or in `path`.bak when it is missing or damaged. Error names both and why; its code is ENOENT
// when neither exists. A dump of a newer version is an error. A file that PM2 wrote is read as well (model/pm2_record.h); the
// records in it that mean nothing are left out.
Result<Value> load_dump(const std::string& path);

}  // namespace tend::journal
