#include "core/cluster/sockets_linux.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace tend::cluster {
namespace {

struct Raw {
  sockaddr_storage at{};
  socklen_t size = 0;
  int family() const { return at.ss_family; }
  const sockaddr* pointer() const { return reinterpret_cast<const sockaddr*>(&at); }
};

Raw raw_of(const Address& a, int family) {
  Raw raw;
  raw.at.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET) {
    auto& in = reinterpret_cast<sockaddr_in&>(raw.at);
    in.sin_port = htons(a.port);
    if (!a.host.empty()) ::inet_pton(AF_INET, a.host.c_str(), &in.sin_addr);
    raw.size = sizeof in;
  } else if (family == AF_INET6) {
    auto& in = reinterpret_cast<sockaddr_in6&>(raw.at);
    in.sin6_port = htons(a.port);
    if (!a.host.empty()) ::inet_pton(AF_INET6, a.host.c_str(), &in.sin6_addr);
    raw.size = sizeof in;
  } else {
    auto& un = reinterpret_cast<sockaddr_un&>(raw.at);
    std::memcpy(un.sun_path, a.path.data(), std::min(a.path.size(), sizeof un.sun_path - 1));
    const bool abstract = !a.path.empty() && a.path.front() == '\0';
    raw.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + a.path.size() + (abstract ? 0 : 1));
  }
  return raw;
}

tl::unexpected<Error> failed(const Address& a, int code) {
  return fail_errno("listen on " + to_text(a), code);
}

bool set(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

enum class Reuse : uint8_t { no, after_bind, before_bind };

Result<UniqueFd> make(const Address& a, int family, int backlog, Reuse reuse) {
  const bool udp = a.transport == Transport::udp;
  UniqueFd fd(::socket(family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return failed(a, errno);
  bool good = true;
  if (family != AF_UNIX && (!udp || a.reuse_addr)) good = set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (family == AF_INET6) good = good && set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, a.ipv6_only ? 1 : 0);
  if (reuse == Reuse::before_bind) good = good && set(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  const Raw raw = raw_of(a, family);
  if (!good || ::bind(fd.get(), raw.pointer(), raw.size) != 0) return failed(a, errno);
  if (reuse == Reuse::after_bind && !set(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1)) return failed(a, errno);
  if (family == AF_UNIX && a.mode != 0 && !a.path.empty() && a.path.front() == '/' &&
      ::chmod(a.path.c_str(), a.mode) != 0)
    return failed(a, errno);
  if (!udp && ::listen(fd.get(), backlog) != 0) return failed(a, errno);
  return fd;
}

// As Node does: any address is both families, and IPv4 alone where there is no IPv6.
Result<UniqueFd> make(const Address& a, int backlog, Reuse reuse) {
  if (a.transport == Transport::unix_stream) {
    if (a.path.size() >= sizeof(sockaddr_un::sun_path)) return failed(a, ENAMETOOLONG);
    return make(a, AF_UNIX, backlog, reuse);
  }
  if (!a.host.empty())
    return make(a, a.host.find(':') == std::string::npos ? AF_INET : AF_INET6, backlog, reuse);
  auto both = make(a, AF_INET6, backlog, reuse);
  if (both) return both;
  const int code = both.error().code;
  if (code != EAFNOSUPPORT && code != EINVAL && code != EADDRNOTAVAIL) return both;
  return make(a, AF_INET, backlog, reuse);
}

}  // namespace

Result<UniqueFd> open_socket(const Address& address, int backlog) {
  return make(address, backlog, Reuse::no);
}

Result<std::vector<UniqueFd>> open_group(const Address& address, int backlog, std::size_t members) {
  std::vector<UniqueFd> group;
  auto first = make(address, backlog, Reuse::after_bind);
  if (!first) return tl::unexpected(first.error());
  group.push_back(std::move(*first));
  while (group.size() < members) {
    auto next = join_group(group.front().get(), backlog);
    if (!next) return tl::unexpected(next.error());
    group.push_back(std::move(*next));
  }
  return group;
}

Result<UniqueFd> join_group(int first_member, int backlog) {
  auto address = bound_address(first_member);
  if (!address) return tl::unexpected(address.error());
  int only = 0;
  socklen_t size = sizeof only;
  if (::getsockopt(first_member, IPPROTO_IPV6, IPV6_V6ONLY, &only, &size) == 0)
    address->ipv6_only = only != 0;
  return make(*address, backlog, Reuse::before_bind);
}

Status remove_stale(const Address& a) {
  if (a.transport != Transport::unix_stream || a.path.empty() || a.path.front() != '/') return {};
  struct stat st {};
  if (::lstat(a.path.c_str(), &st) != 0) return errno == ENOENT ? Status{} : Status(failed(a, errno));
  if (!S_ISSOCK(st.st_mode)) return failed(a, ENOTSOCK);
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const Raw raw = raw_of(a, AF_UNIX);
  if (!probe) return failed(a, errno);
  if (::connect(probe.get(), raw.pointer(), raw.size) == 0 || errno != ECONNREFUSED)
    return failed(a, EADDRINUSE);
  return ::unlink(a.path.c_str()) == 0 ? Status{} : Status(failed(a, errno));
}

Result<Address> bound_address(int fd) {
  sockaddr_storage raw{};
  socklen_t size = sizeof raw;
  int type = 0;
  socklen_t type_size = sizeof type;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&raw), &size) != 0 ||
      ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0)
    return fail_errno("name of a socket");
  Address a;
  if (type == SOCK_DGRAM) a.transport = Transport::udp;
  char text[INET6_ADDRSTRLEN] = {};
  if (raw.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(raw);
    a.host = ::inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
    a.port = ntohs(in.sin_port);
  } else if (raw.ss_family == AF_INET6) {
    const auto& in = reinterpret_cast<const sockaddr_in6&>(raw);
    a.host = ::inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
    a.port = ntohs(in.sin6_port);
  } else {
    a.transport = Transport::unix_stream;
    const auto& un = reinterpret_cast<const sockaddr_un&>(raw);
    const std::size_t head = offsetof(sockaddr_un, sun_path);
    std::size_t length = size > head ? size - head : 0;
    if (length > 0 && un.sun_path[0] != '\0' && un.sun_path[length - 1] == '\0') --length;
    a.path.assign(un.sun_path, length);
  }
  return a;
}

}  // namespace tend::cluster
