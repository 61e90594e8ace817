// Flags that change what becomes of a command: its apps or their output stay with it.
#pragma once

#include "cmd/tend/command.h"

namespace tend::cli {

// --no-daemon: the command with a daemon that ends with it; when one runs already, the command as ever.
int no_daemon(Session& s, const Command& command);
// --attach: the command, then what the apps print that were started or restarted, until Ctrl-C.
int attach(Session& s, const Command& command);

}  // namespace tend::cli
