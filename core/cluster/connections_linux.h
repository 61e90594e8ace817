// How many clients a process that cannot be asked still serves: what the kernel shows of its descriptors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>

namespace tend::cluster {

// The connections that `pids` hold on one of the local `ports`, each once. Reads /proc: on the pool. A
// process that is gone, or another user's, counts as none.
std::size_t open_connections(std::span<const int> pids, const std::set<uint16_t>& ports);

}  // namespace tend::cluster
