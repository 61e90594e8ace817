// Starts the keeper for a home, detached from whoever asked.
#pragma once

#include "core/base/result.h"
#include "core/model/home.h"
#include "ipc/rpc_client.h"

namespace tend::cli {

// Any number of callers may do this at once: the keeper's lock lets one win, the others connect to it (5 s at
// most).
Result<ipc::RpcClient> start_daemon(const Home& home);

}  // namespace tend::cli
