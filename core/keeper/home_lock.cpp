#include "core/keeper/home_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>

#include "core/base/home_place.h"
#include "core/keeper/state.h"
#include "core/model/home.h"

namespace tend::keeper {
namespace {

constexpr char kLock[] = "lock";
constexpr char kSocket[] = "tend.sock";
constexpr char kTemporary[] = "tend.sock.new";  // one name is enough: only the lock holder uses it
constexpr int kBacklog = 1024;
constexpr int kPlaces = 4;  // how often another one may take the place of that which was chosen

Status make_directories(const std::string& dir) {
  for (size_t slash = dir.find('/', 1);; slash = dir.find('/', slash + 1)) {
    const std::string part = dir.substr(0, slash);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      const int code = errno;
      struct stat st {};
      if (stat(part.c_str(), &st) != 0)
        return fail_errno("mkdir " + part, code);  // else: read-only, but there
    }
    if (slash == std::string::npos) return {};
  }
}

// A lock that two can have is none.
bool excludes(const UniqueFd& dir) {
  const UniqueFd other(openat(dir.get(), kLock, O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  return other && flock(other.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

bool no_locks_here(int code) {
  return code == ENOLCK || code == ENOSYS || code == EOPNOTSUPP || code == EINVAL || code == EIO;
}

bool no_sockets_here(int code) {
  return code == EPERM || code == EACCES || code == ENOSYS || code == EOPNOTSUPP || code == EINVAL ||
         code == ENOTSOCK || code == ENODEV || code == EIO;
}

// As one that found a working lock may.
bool somebody_listens(const UniqueFd& dir) {
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const UniqueFd back(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd || !back || fchdir(dir.get()) != 0) return false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, kSocket, sizeof kSocket);
  const bool heard =
      connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN;
  return fchdir(back.get()) == 0 && heard;
}

}  // namespace

Result<std::optional<HomeLock>> HomeLock::take(const std::string& dir) {
  if (Status made = make_directories(dir); !made) return tl::unexpected<Error>(made.error());
  if (const std::string place = place_of(dir); place != dir) return take_in(place);
  auto lock = take_in(dir);
  if (lock || !no_locks_here(lock.error().code)) return lock;
  const UniqueFd home(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (home && somebody_listens(home)) return std::optional<HomeLock>{};
  return take_elsewhere(dir);
}

Result<std::optional<HomeLock>> HomeLock::take_in(const std::string& dir) {
  UniqueFd home(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!home) return fail_errno("open " + dir);
  struct stat st {};
  if (fstat(home.get(), &st) != 0) return fail_errno("stat " + dir);
  if (st.st_uid != geteuid() && geteuid() != 0) {
    return fail(
        dir + ": belongs to uid " + std::to_string(st.st_uid) + ", not to uid " + std::to_string(geteuid()),
        EPERM);
  }
  UniqueFd lock(openat(home.get(), kLock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return fail_errno("open " + dir + "/lock");
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return std::optional<HomeLock>{};
    return fail_errno("flock " + dir + "/lock");
  }
  if (!excludes(home)) return fail("flock " + dir + "/lock: two can have it", ENOLCK);
  return std::optional<HomeLock>(HomeLock(std::move(home), std::move(lock)));
}

// What was taken counts if it is still what `sock` names.
Result<std::optional<HomeLock>> HomeLock::take_elsewhere(const std::string& dir) {
  for (int i = 0; i < kPlaces; ++i) {
    const auto place = make_place(dir);
    if (!place) return tl::unexpected<Error>(place.error());
    auto lock = take_in(*place);
    if (place_of(dir) != *place) continue;
    // What clears temporary folders leaves those alone that are locked themselves.
    if (lock && *lock) flock((*lock)->home_.get(), LOCK_SH | LOCK_NB);
    return lock;
  }
  return fail(dir + "/sock: names one place after another", EBUSY);
}

Result<bool> HomeLock::listen_or_move(const std::string& dir) {
  const Status bound = listen();
  if (bound) return true;
  if (!no_sockets_here(bound.error().code) || place_of(dir) != dir)
    return tl::unexpected<Error>(bound.error());
  auto elsewhere = take_elsewhere(dir);
  if (!elsewhere) return tl::unexpected<Error>(elsewhere.error());
  if (!*elsewhere) return false;
  *this = std::move(**elsewhere);
  if (Status there = listen(); !there) return tl::unexpected<Error>(there.error());
  return true;
}

Status HomeLock::listen_again(const std::string& dir) {
  if (is_folder(place_of(dir))) return listen();
  auto again = take(dir);
  if (!again) return tl::unexpected<Error>(again.error());
  if (*again) {
    remove_socket();
    *this = std::move(**again);
    const auto bound = listen_or_move(dir);
    if (!bound) return tl::unexpected<Error>(bound.error());
    if (*bound) return {};
  }
  // Elsewhere, where this one has been all the time.
  if (is_folder(place_of(dir))) return listen();
  return fail(dir + ": has another daemon", EBUSY);
}

bool HomeLock::is_folder(const std::string& dir) const {
  struct stat named {
  }, open{};
  return stat(dir.c_str(), &named) == 0 && fstat(home_.get(), &open) == 0 && named.st_dev == open.st_dev &&
         named.st_ino == open.st_ino;
}

bool HomeLock::is_bound() const {
  struct stat st {};
  return listener_ && fstatat(home_.get(), kSocket, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == device_ &&
         st.st_ino == inode_;
}

Status HomeLock::listen() {
  if (is_bound()) return {};
  UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return fail_errno("socket");
  UniqueFd back(
      open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));  // may fail: the directory may be gone or closed to us
  if (fchdir(home_.get()) != 0) return fail_errno("chdir to the home");
  unlink(kTemporary);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, kTemporary, sizeof kTemporary);
  const int bound = bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int code = errno;
  if (!back || fchdir(back.get()) != 0) {
    [[maybe_unused]] const int root = chdir("/");
  }
  if (bound != 0) return fail_errno("bind tend.sock", code);
  struct stat st {};
  if (fchmodat(home_.get(), kTemporary, 0600, 0) != 0 || fstatat(home_.get(), kTemporary, &st, 0) != 0 ||
      ::listen(listener.get(), kBacklog) != 0 ||
      renameat(home_.get(), kTemporary, home_.get(), kSocket) != 0) {
    return fail_errno("tend.sock");
  }
  device_ = st.st_dev;
  inode_ = st.st_ino;
  listener_ = std::move(listener);
  return {};
}

void HomeLock::inherit(UniqueFd listener) {
  struct stat st {};
  // Under the lock nobody else puts a socket there.
  if (!listener || fstatat(home_.get(), kSocket, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISSOCK(st.st_mode))
    return;
  device_ = st.st_dev;
  inode_ = st.st_ino;
  listener_ = std::move(listener);
}

void HomeLock::tell(std::string_view text) const {
  if (text.empty()) {
    unlinkat(home_.get(), kSafeModeFile, 0);
    return;
  }
  const UniqueFd file(
      openat(home_.get(), kSafeModeFile, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file) [[maybe_unused]]
    const ssize_t n = write(file.get(), text.data(), text.size());
}

void HomeLock::remove_socket() {
  if (is_bound()) unlinkat(home_.get(), kSocket, 0);
}

void HomeLock::save(StateHead& state) const {
  state.home = home_.get();
  state.lock = lock_.get();
  state.listener = listener_.get();
  state.listener_device = device_;
  state.listener_inode = inode_;
}

HomeLock HomeLock::restore(const StateHead& state) {
  HomeLock lock(UniqueFd(state.home), UniqueFd(state.lock));
  lock.listener_.reset(state.listener);
  lock.device_ = state.listener_device;
  lock.inode_ = state.listener_inode;
  return lock;
}

}  // namespace tend::keeper
