// update: the running daemon takes another program, and apps notice nothing.
#pragma once

#include "cmd/tend/session.h"

namespace tend::cli {

int update_command(Session& s);

}  // namespace tend::cli
