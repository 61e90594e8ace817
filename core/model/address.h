// Where a socket listens, as apps and files name it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace tend {

enum class Transport : uint8_t { tcp, udp, unix_stream };

struct Address {
  Transport transport = Transport::tcp;
  std::string host;   // numeric IPv4 or IPv6; empty: any, both families where there is IPv6
  uint16_t port = 0;  // 0: the kernel chooses
  std::string path;   // unix_stream: absolute; abstract when it begins with NUL
  bool ipv6_only = false;
  bool reuse_addr = false;  // udp
  uint32_t mode = 0;        // unix_stream: permissions of the file; 0: what the umask leaves
  friend bool operator==(const Address&, const Address&) = default;
};

// "tcp://host:port" with host numeric, "localhost", "*" or empty; "udp://…"; "unix:/path", "unix:///path",
// "unix:@abstract"; also "port" and "host:port". Error: what was found and what is accepted.
Result<Address> parse_listen(std::string_view text);
// The same address in canonical words; the flags are not part of it.
std::string to_text(const Address& address);

}  // namespace tend
