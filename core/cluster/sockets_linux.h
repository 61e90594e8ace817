// Making listening sockets (protocols.md 2.5, "P's binding rules", and 3.2). All are CLOEXEC and
// non-blocking; all but udp are listening. Errors: code is the errno of the call that failed, the message
// names the address.
#pragma once

#include <cstddef>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/model/address.h"

namespace tend::cluster {

Result<UniqueFd> open_socket(const Address& address, int backlog);

// Sockets that share one port, indexed in this order by steer(). The first is bound without SO_REUSEPORT,
// which is set between bind and listen, so that a stranger's group on the same port is refused (settled 36).
Result<std::vector<UniqueFd>> open_group(const Address& address, int backlog, std::size_t members);
Result<UniqueFd> join_group(int first_member, int backlog);  // one more, at the end

// Removes the file of a unix socket on which nobody listens. Error: EADDRINUSE somebody does, ENOTSOCK it is
// something else. Nothing there, or no file (tcp, abstract): fine.
Status remove_stale(const Address& address);

Result<Address> bound_address(int fd);  // what the kernel says; error: code is errno

}  // namespace tend::cluster
