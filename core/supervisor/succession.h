// The keeper is lost: another one is started and given copies of everything (settled 7, 8). This process has
// done its part then; the new keeper starts a supervisor of its own, which goes on as after any death of one.
#pragma once

#include "core/base/console.h"
#include "core/base/log.h"
#include "core/base/result.h"
#include "core/keeper/mirror.h"
#include "core/model/home.h"

namespace tend::supervisor {

// Blocks for the few milliseconds that it takes: no app waits for this process. Error: no keeper took over.
Status install_successor(const Home& home, Console console, int listener, keeper::Mirror& mirror, Log& log);

}  // namespace tend::supervisor
