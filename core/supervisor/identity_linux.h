// Names of users and groups to numbers, by getent(1) in a child: a static program cannot load NSS modules.
// Blocking: runs on the pool, 5 s at most.
#pragma once

#include "core/base/result.h"
#include "core/supervisor/instance.h"

namespace tend::supervisor {

// Both empty: the daemon's own. Error: "User <u> cannot be found", "Group <g> cannot be found", or not root.
Result<Identity> resolve_identity(const std::string& uid, const std::string& gid);

}  // namespace tend::supervisor
