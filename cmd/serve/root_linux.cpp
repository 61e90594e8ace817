#include "cmd/serve/root_linux.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

namespace tend::serve {
namespace {

constexpr int kTries = 4;  // openat2 says EAGAIN when something was renamed meanwhile
// A FIFO would hold the server up, a terminal become its own.
constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

int open_beneath(int root, const char* path) {
  open_how how{};
  how.flags = kFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  long fd = -1;
  for (int i = 0; i < kTries; ++i) {
    fd = ::syscall(SYS_openat2, root, path, &how, sizeof how);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return static_cast<int>(fd);
}

std::string link_of(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

std::string place_of(int fd) {
  char text[PATH_MAX];
  const ssize_t n = ::readlink(link_of(fd).c_str(), text, sizeof text);
  return {text, n > 0 ? static_cast<std::size_t>(n) : 0};
}

// The place is that of the file itself, which a rename of a folder on the way cannot change any more.
int open_and_look(int root, const char* path) {
  const UniqueFd found(::openat(root, path, O_PATH | O_CLOEXEC));
  if (!found) return -1;
  const std::string above = place_of(root), place = place_of(found.get());
  const bool below = !above.empty() && (place == above || above == "/" ||
                                        (place.starts_with(above) && place[above.size()] == '/'));
  if (!below) {
    errno = EXDEV;
    return -1;
  }
  return ::open(link_of(found.get()).c_str(), kFlags);
}

}  // namespace

tl::expected<Opened, int> Root::open(const std::string& path) const {
  const UniqueFd root(::open(folder_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return tl::unexpected(errno);
  const char* const word = path.empty() ? "." : path.c_str();
  Opened out;
  if (confinement_ == Confinement::kernel) out.fd.reset(open_beneath(root.get(), word));
  const bool missing =
      confinement_ == Confinement::looked_up || (!out.fd && (errno == ENOSYS || errno == EPERM));
  if (missing) out.fd.reset(open_and_look(root.get(), word));
  if (!out.fd || ::fstat(out.fd.get(), &out.st) != 0) return tl::unexpected(errno);
  if (!S_ISREG(out.st.st_mode) && !S_ISDIR(out.st.st_mode)) return tl::unexpected(EACCES);
  return out;
}

}  // namespace tend::serve
