// Which TCP port a process has begun to listen on.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "core/autopsy/proc_text.h"

namespace tend::autopsy {

// The listening TCP sockets (IPv4 and 6) of the network that the process is in. The kernel lists them before
// all others, so a hundred thousand connections cost nothing.
std::vector<Socket> listening_sockets(pid_t pid);
bool holds_socket(pid_t pid, uint64_t inode);  // one of its descriptors is that socket
bool same_network(pid_t pid);                  // its loopback is ours

}  // namespace tend::autopsy
