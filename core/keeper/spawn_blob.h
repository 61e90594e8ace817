// Packing a SpawnRequest for the child that will read it.
#pragma once

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/keeper/client.h"

namespace tend::keeper {

// A sealed memfd. Error: too large, or a string with a NUL inside.
Result<UniqueFd> make_blob(const SpawnRequest& request);

}  // namespace tend::keeper
