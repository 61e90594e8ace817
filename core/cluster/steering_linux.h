// Which sockets of a reuseport group get new connections, by a classic BPF program that the kernel runs for
// each (protocols.md 3.3, settled 36 and 37). It goes on without this process.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/base/result.h"

namespace tend::cluster {

enum class Spread : uint8_t {
  random,   // evenly
  by_peer,  // one peer address always reaches the same socket, as long as that one is a member
};

// One member that gets a fixed part of what is new, so as to try it.
struct Share {
  uint32_t member = 0;
  uint32_t percent = 0;  // 1 to 99
};

// `members`: indexes into the group, ascending, 1 to 128 of them; `slots`: how many sockets the group has.
// `share` comes first, its member is none of `members`.
// Error: the kernel refuses. What is queued on a socket stays there.
Status steer(int any_member, Spread spread, std::span<const uint32_t> members, uint32_t slots,
             std::optional<Share> share = std::nullopt);

// The loopback address whose connections reach exactly that socket of a steered group, member or not: so one
// process behind a shared port can be asked.
std::string address_for(uint32_t slot);

}  // namespace tend::cluster
