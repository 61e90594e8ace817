// A line for each answer, in the common log format.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

struct sockaddr;

namespace tend::serve {

struct Access {
  std::string request;  // "GET /x HTTP/1.1"
  int status = 0;
  uint64_t bytes = 0;
};

std::string peer_name(const sockaddr* address);  // "-" for what has no number
// Pure; nothing in the request can begin a line of its own.
std::string access_line(std::string_view peer, const Access& access, int64_t seconds);

}  // namespace tend::serve
