#pragma once

#include <string>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/base/units.h"

namespace tend::ipc {

// A non-blocking stream socket, connected to the unix socket at `path`, which may be longer than sun_path. A
// full backlog is retried until `patience` is over. Error: code is connect's errno, ETIMEDOUT for the
// backlog.
Result<UniqueFd> unix_connect(const std::string& path, Millis patience);

}  // namespace tend::ipc
