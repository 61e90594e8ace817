#pragma once

#include "core/base/console.h"
#include "core/model/home.h"

namespace tend::supervisor {

// The supervisor's whole life; returns the exit status. REQUIRES: started by the keeper (descriptor 3 its
// socket, 4 the RPC listener, TEND_EPOCH in the environment).
int run(const Home& home, Console console = Console::none);

}  // namespace tend::supervisor
