// The main process of the systemd unit that `startup` writes.
#pragma once

#include <string>

#include "cmd/tend/session.h"

namespace tend::cli {

// Restores the saved list, says READY=1 and waits. SIGTERM (the unit is stopped): ends apps and daemon.
// SIGHUP (the unit is restarted): ends alone, everything else goes on. The daemon ended: ends too, with 1 if
// it did not end by itself.
int unit_run(Session& s);

// Behind the end of unit_run: the unit can be started again while its daemon and apps go on.
int unit_left(Session& s);

// By which absolute path this program is called by its present name; the executable itself if it has no such
// name in PATH. "": there is no /proc.
std::string own_program(const Session& s);

}  // namespace tend::cli
