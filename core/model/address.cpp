#include "core/model/address.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <charconv>

#include "core/base/text.h"

namespace tend {
namespace {

tl::unexpected<Error> refuse(std::string_view text) {
  return fail("found " + printable(std::string(text)) +
                  "; accepted: tcp://address:port, udp://address:port, unix:/path, with a numeric address",
              EINVAL);
}

bool take(std::string_view& text, std::string_view prefix) {
  if (text.substr(0, prefix.size()) != prefix) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool is_numeric(const std::string& host) {
  unsigned char bytes[16];
  return ::inet_pton(AF_INET, host.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

Result<Address> parse_unix(std::string_view rest, std::string_view whole) {
  take(rest, "//");
  Address a;
  a.transport = Transport::unix_stream;
  a.path = rest;
  if (rest.empty() || (rest.front() != '/' && rest.front() != '@')) return refuse(whole);
  if (rest.front() == '@') a.path.front() = '\0';
  if (a.path.size() >= sizeof(sockaddr_un::sun_path)) {
    return fail("found a path of " + std::to_string(a.path.size()) + " bytes; accepted: at most " +
                    std::to_string(sizeof(sockaddr_un::sun_path) - 1),
                ENAMETOOLONG);
  }
  return a;
}

}  // namespace

Result<Address> parse_listen(std::string_view text) {
  std::string_view rest = text;
  if (take(rest, "unix:")) return parse_unix(rest, text);
  Address a;
  if (take(rest, "udp://")) {
    a.transport = Transport::udp;
  } else {
    take(rest, "tcp://");
  }
  const auto colon = rest.rfind(':');
  std::string_view host = colon == std::string_view::npos ? "" : rest.substr(0, colon);
  const std::string_view port = colon == std::string_view::npos ? rest : rest.substr(colon + 1);
  const auto read = std::from_chars(port.data(), port.data() + port.size(), a.port);
  if (port.empty() || read.ec != std::errc() || read.ptr != port.data() + port.size()) return refuse(text);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return refuse(text);
  }
  a.host = host == "*" ? "" : host == "localhost" ? "127.0.0.1" : std::string(host);
  if (!a.host.empty() && !is_numeric(a.host)) return refuse(text);
  return a;
}

std::string to_text(const Address& a) {
  if (a.transport == Transport::unix_stream) {
    std::string path = a.path;
    if (!path.empty() && path.front() == '\0') path.front() = '@';
    return "unix:" + path;
  }
  const bool brackets = a.host.find(':') != std::string::npos;
  return (a.transport == Transport::udp ? "udp://" : "tcp://") + (brackets ? "[" + a.host + "]" : a.host) +
         ":" + std::to_string(a.port);
}

}  // namespace tend
