// Starts the keeper for a home, detached from whoever asked.
#pragma once

#include <sys/types.h>

#include "core/base/console.h"
#include "core/base/result.h"
#include "core/model/home.h"
#include "ipc/rpc_client.h"

namespace tend::cli {

// Any number of callers may do this at once: the keeper's lock lets one win, the others connect to it (5 s at
// most).
// A keeper that is this program's child: it ends, and its apps with it, when this program does. What its apps
// print goes where `console` says. Error code EBUSY: another daemon has the home.
Result<pid_t> start_owned_daemon(const Home& home, Console console);
Result<ipc::RpcClient> start_daemon(const Home& home);

// The keeper that the supervisor of a lost one has started; blocks for the moments that takes. 0: none came.
pid_t await_successor(const Home& home, pid_t lost);

}  // namespace tend::cli
