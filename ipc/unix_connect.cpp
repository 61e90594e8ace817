#include "ipc/unix_connect.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "core/base/clock.h"

namespace tend::ipc {
namespace {

constexpr int kFirstPauseMs = 2;
constexpr int kLongestPauseMs = 50;

int connect_short(int fd, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

// By way of the folder's descriptor; without /proc by way of the working directory, which is put back.
int connect_long(int fd, const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string folder = slash == path.npos ? "." : path.substr(0, slash + 1);
  const std::string name = slash == path.npos ? path : path.substr(slash + 1);
  const UniqueFd dir(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return -1;
  const std::string link = "/proc/self/fd/" + std::to_string(dir.get());
  if (::access(link.c_str(), F_OK) == 0) return connect_short(fd, link + "/" + name);
  const UniqueFd cwd(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!cwd || ::fchdir(dir.get()) != 0) return -1;
  const int rc = connect_short(fd, name);
  const int error = errno;
  if (::fchdir(cwd.get()) != 0) return -1;
  errno = error;
  return rc;
}

}  // namespace

Result<UniqueFd> unix_connect(const std::string& path, Millis patience) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("socket");
  const Millis until = SystemClock().now() + patience;
  for (int pause = kFirstPauseMs;; pause = std::min(pause * 2, kLongestPauseMs)) {
    const bool fits = path.size() < sizeof(sockaddr_un::sun_path);
    if ((fits ? connect_short(fd.get(), path) : connect_long(fd.get(), path)) == 0) return fd;
    if (errno != EAGAIN && errno != EINTR) return fail_errno("connect to " + path);
    if (SystemClock().now() >= until) {
      return fail("connect to " + path + ": the daemon accepts no connection since " + show(patience),
                  ETIMEDOUT);
    }
    ::poll(nullptr, 0, pause);
  }
}

}  // namespace tend::ipc
