// How many clients a process that is not ours to ask still serves: what the kernel shows of its descriptors.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/model/address.h"

namespace tend::cluster {

// The stream connections that `pids` hold to one of `addresses` (the port, or the path, is what counts), each
// once. Reads /proc: on the pool. A process that is gone, or another user's, counts as none.
std::size_t open_connections(std::span<const int> pids, const std::vector<Address>& addresses);

}  // namespace tend::cluster
