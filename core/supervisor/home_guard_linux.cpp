#include "core/supervisor/home_guard_linux.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace tend::supervisor {

HomeGuard::HomeGuard(loop::Loop& loop, const Home& home, std::function<void()> gone)
    : home_(home), gone_(std::move(gone)) {
  const std::string socket = home.socket();
  struct stat st {};
  if (::lstat(socket.c_str(), &st) != 0) return;
  device_ = st.st_dev;
  inode_ = st.st_ino;
  if (::stat(home.dir.c_str(), &st) != 0) return;
  home_device_ = st.st_dev;
  home_inode_ = st.st_ino;
  inotify_.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify_) return;
  // The name of a socket that is open is not its last link: its removal is a change of attributes.
  ::inotify_add_watch(inotify_.get(), socket.c_str(), IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF);
  ::inotify_add_watch(inotify_.get(), home.dir.c_str(), IN_MOVE_SELF | IN_DELETE_SELF | IN_ONLYDIR);
  readable_ = std::make_unique<loop::Poll>(loop, inotify_.get(), [this](int) { look(); });
  readable_->watch(UV_READABLE);
  if (!is_there()) loop.defer([this] { look(); });
}

bool HomeGuard::is_there() const {
  struct stat st {};
  return ::lstat(home_.socket().c_str(), &st) == 0 && st.st_dev == device_ && st.st_ino == inode_;
}

bool HomeGuard::is_anothers() const {
  struct stat st {};
  if (::stat(home_.dir.c_str(), &st) != 0) return false;
  if (st.st_dev == home_device_ && st.st_ino == home_inode_) return false;
  const UniqueFd lock(::open(home_.lock().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  return lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

void HomeGuard::look() {
  alignas(inotify_event) char buffer[4096];
  while (::read(inotify_.get(), buffer, sizeof buffer) > 0) {
  }
  if (is_there() || !gone_) return;
  readable_->stop();
  std::exchange(gone_, {})();
}

}  // namespace tend::supervisor
