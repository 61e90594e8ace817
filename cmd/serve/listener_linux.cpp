#include "cmd/serve/listener_linux.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "core/base/text.h"

namespace tend::serve {
namespace {

constexpr int kFirstPassed = 3;
constexpr int kBacklog = 511;

bool passed() {
  const char* const count = std::getenv("LISTEN_FDS");
  const char* const pid = std::getenv("LISTEN_PID");
  return count != nullptr && pid != nullptr && std::atoi(count) > 0 && std::atol(pid) == ::getpid();
}

}  // namespace

Result<UniqueFd> listener(const std::string& host, uint16_t port) {
  if (passed()) {
    int listens = 0;
    socklen_t size = sizeof listens;
    const bool good =
        ::getsockopt(kFirstPassed, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0;
    if (!good) return fail("LISTEN_FDS: descriptor 3 is no listening socket");
    ::fcntl(kFirstPassed, F_SETFD, FD_CLOEXEC);
    return UniqueFd(kFirstPassed);
  }
  sockaddr_storage address{};
  socklen_t size = sizeof(sockaddr_in);
  auto* const v4 = reinterpret_cast<sockaddr_in*>(&address);
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&address);
  const std::string numeric = host == "localhost" ? "127.0.0.1" : host;
  if (::inet_pton(AF_INET, numeric.c_str(), &v4->sin_addr) == 1) {
    address.ss_family = AF_INET;
    v4->sin_port = htons(port);
  } else if (::inet_pton(AF_INET6, numeric.c_str(), &v6->sin6_addr) == 1) {
    address.ss_family = AF_INET6;
    v6->sin6_port = htons(port);
    size = sizeof(sockaddr_in6);
  } else {
    return fail("SERVE_HOST: found " + printable(host) + "; accepted: a numeric address, localhost");
  }
  const std::string name = printable(host) + ":" + std::to_string(port);
  UniqueFd fd(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  if (!fd) return fail_errno(name);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::listen(fd.get(), kBacklog) != 0)
    return fail_errno(name);
  return fd;
}

void notify(std::string_view text) {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  const std::size_t length = path != nullptr ? std::strlen(path) : 0;
  if (length < 2 || length >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (fd)
    ::sendto(fd.get(), text.data(), text.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
             static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
}

}  // namespace tend::serve
