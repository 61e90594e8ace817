#include "cmd/serve/access_log.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <ctime>

#include "core/base/text.h"

namespace tend::serve {

std::string peer_name(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "-";
  if (address == nullptr) return text;
  if (address->sa_family == AF_INET)
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text, sizeof text);
  else if (address->sa_family == AF_INET6)
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, text, sizeof text);
  const std::string_view name = text;
  constexpr std::string_view kMapped = "::ffff:";
  const bool mapped = name.starts_with(kMapped) && name.find('.') != std::string_view::npos;
  return std::string(mapped ? name.substr(kMapped.size()) : name);
}

std::string access_line(std::string_view peer, const Access& access, int64_t seconds) {
  const time_t t = seconds;
  std::tm tm{};
  char when[40] = "-";
  if (localtime_r(&t, &tm) != nullptr) std::strftime(when, sizeof when, "%d/%b/%Y:%H:%M:%S %z", &tm);
  std::string request;
  for (const char c : printable(access.request)) {
    if (c == '"') request += '\\';
    request += c;
  }
  return std::string(peer) + " - - [" + when + "] \"" + request + "\" " + std::to_string(access.status) +
         " " + std::to_string(access.bytes) + "\n";
}

}  // namespace tend::serve
