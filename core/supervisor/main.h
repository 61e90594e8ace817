#pragma once

#include <functional>
#include <string_view>

#include "core/base/console.h"
#include "core/base/result.h"
#include "core/model/home.h"

namespace tend::supervisor {

// The supervisor's whole life; returns the exit status. REQUIRES: started by the keeper (descriptor 3 its
// socket, 4 the RPC listener, TEND_EPOCH in the environment).
int run(const Home& home, Console console = Console::none);

// Whether this program could go on from what the supervisor of this home has: the journal, and what the
// keeper holds for it (`held` gives a descriptor by its name, -1 for none). Changes nothing.
Status check_inheritance(const Home& home, const std::function<int(std::string_view)>& held);

}  // namespace tend::supervisor
