#include "core/logs/log_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <climits>
#include <cstdio>

#include "core/base/folder_linux.h"
#include "core/logs/rotation.h"

namespace tend::logs {
namespace {

constexpr Millis kCheckEvery{1000};  // how often the path is compared with what is open
constexpr int kRoomMs = 1000;        // a terminal or a pipe behind /dev/stdout that takes nothing
constexpr int kWriteLimitMs = 5000;  // the same, inside a line

constexpr std::size_t kAtOnce = PIPE_BUF;  // what a pipe with room takes without blocking

}  // namespace

uint64_t path_hash(std::string_view path) {
  uint64_t h = 14695981039346656037u;  // FNV-1a
  for (const char c : path) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return h;
}

std::string file_keepsake(uint64_t hash) {
  char name[32];
  std::snprintf(name, sizeof name, "file/%016" PRIx64, hash);
  return name;
}

void LogFile::adopt(UniqueFd fd) { fd_ = std::move(fd); }

Status LogFile::ready(Millis now) {
  if (reopen_.exchange(false)) fd_.reset();
  if (fd_ && regular_) {
    struct stat open_one {};
    struct stat named {};
    bool stale = ::fstat(fd_.get(), &open_one) != 0 || open_one.st_nlink == 0;
    if (!stale && now - checked_ >= kCheckEvery) {
      checked_ = now;
      stale = ::lstat(path_.c_str(), &named) != 0 || named.st_dev != open_one.st_dev ||
              named.st_ino != open_one.st_ino;
    }
    if (stale) {
      fd_.reset();
    } else if (open_one.st_size != position()) {
      ::lseek(fd_.get(), 0, SEEK_END);
    }
  }
  if (fd_) return {};
  checked_ = now;
  return open();
}

Status LogFile::open() {
  const bool out = path_ == "/dev/stdout", err = path_ == "/dev/stderr";
  if (out || err) {
    // Opening the name would fail for a socket and start a second position in a regular file.
    fd_.reset(::fcntl(out ? 1 : 2, F_DUPFD_CLOEXEC, 3));
    regular_ = false;
    return fd_ ? Status{} : fail_errno("open " + path_);
  }
  return open_regular();
}

Status LogFile::open_regular() {
  // O_NONBLOCK: a FIFO without a reader must not hold up the job that is going to refuse it. No O_APPEND:
  // splice(2) refuses such files.
  constexpr int kFlags = O_WRONLY | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
  const auto folder = open_folder_of(path_, owner_, true);
  if (!folder) return tl::unexpected(folder.error());
  const std::string name = name_in_folder(path_);
  const auto existing = [&] { return ::openat(folder->get(), name.c_str(), kFlags); };
  bool created = false;
  UniqueFd fd(existing());
  if (!fd && errno == ENOENT) {
    fd.reset(::openat(folder->get(), name.c_str(), kFlags | O_CREAT | O_EXCL, 0600));
    created = static_cast<bool>(fd);
    if (!fd && errno == EEXIST) fd.reset(existing());  // somebody was faster
  }
  if (!fd) {
    if (errno == ELOOP) return fail("open " + path_ + ": a symbolic link is not followed", ELOOP);
    if (errno == ENXIO) return fail("open " + path_ + ": not a regular file", ENXIO);
    return fail_errno("open " + path_);
  }
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return fail_errno("stat " + path_);
  regular_ = S_ISREG(st.st_mode);
  if (!regular_ && ::isatty(fd.get()) == 0) return fail("open " + path_ + ": not a regular file", EINVAL);
  if (auto own = not_a_strangers(path_, st, owner_); !created && !own) return own;
  if (created && (owner_.uid >= 0 || owner_.gid >= 0) &&
      ::fchown(fd.get(), static_cast<uid_t>(owner_.uid), static_cast<gid_t>(owner_.gid)) != 0) {
    return fail_errno("change the owner of " + path_);
  }
  if (regular_) ::lseek(fd.get(), 0, SEEK_END);
  fd_ = std::move(fd);
  splice_ = true;
  news_ = regular_;
  return {};
}

ssize_t LogFile::take(int pipe, std::size_t want) {
  if (regular_ && splice_) {
    const ssize_t n = ::splice(pipe, nullptr, fd_.get(), nullptr, want, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n >= 0 || errno != EINVAL) return n;
    splice_ = false;  // a file system without splice_write
  }
  if (!regular_) {
    if (!room()) {
      errno = EAGAIN;
      return -1;
    }
    if (splice_) {  // into a pipe: never blocks, though its writer's flags are not ours to change
      const ssize_t n = ::splice(pipe, nullptr, fd_.get(), nullptr, want, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
      if (n >= 0 || errno != EINVAL) return n;
      splice_ = false;
    }
  }
  char piece[65536];
  const ssize_t n = ::read(pipe, piece, std::min(want, regular_ ? sizeof piece : kAtOnce));
  if (n <= 0) return n;
  std::size_t written = 0;
  if (const auto wrote = write({piece, static_cast<std::size_t>(n)}, written); !wrote && written == 0) {
    errno = wrote.error().code;
    return -1;
  }
  return n;
}

Status LogFile::write(std::string_view bytes, std::size_t& written) {
  while (written < bytes.size()) {
    pollfd console{fd_.get(), POLLOUT, 0};
    if (!regular_ && ::poll(&console, 1, kWriteLimitMs) == 0) return fail_errno("write " + path_, ETIMEDOUT);
    const std::size_t left = bytes.size() - written;
    const ssize_t n = ::write(fd_.get(), bytes.data() + written, regular_ ? left : std::min(left, kAtOnce));
    if (n > 0) {
      written += static_cast<std::size_t>(n);
    } else if (n < 0 && errno == EAGAIN) {
      pollfd room{fd_.get(), POLLOUT, 0};
      if (::poll(&room, 1, kWriteLimitMs) == 0) return fail_errno("write " + path_, ETIMEDOUT);
    } else if (n == 0 || errno != EINTR) {
      return fail_errno("write " + path_, n == 0 ? EIO : errno);
    }
  }
  return {};
}

bool LogFile::full() const {
  const int64_t limit = limit_;
  return limit > 0 && fd_ && regular_ && position() >= limit + refused_;
}

// Its name where it lies now, whatever its path may lead to a moment later.
Result<std::string> LogFile::pinned(UniqueFd& folder) const {
  if (!writes_for_another(owner_)) return path_;
  auto opened = open_folder_of(path_, owner_, false);
  if (!opened) return tl::unexpected(opened.error());
  folder = std::move(*opened);
  return "/proc/self/fd/" + std::to_string(folder.get()) + "/" + name_in_folder(path_);
}

Status LogFile::turn(Millis now, Millis wall) {
  if (!fd_ || !regular_ || position() == 0) return {};
  UniqueFd folder;
  const auto path = pinned(folder);
  Status aside;
  if (!path)
    aside = tl::unexpected(path.error());
  else
    aside = put_aside(*path, wall);
  if (!aside) {
    refused_ = position();
    return aside;
  }
  refused_ = 0;
  checked_ = now;
  fd_.reset();
  return open();
}

Status LogFile::tidy(const RotationRules& rules) const {
  UniqueFd folder;
  const auto path = pinned(folder);
  if (!path) return tl::unexpected(path.error());
  return tidy_rotated(*path, rules);
}

bool LogFile::room() const {
  pollfd p{fd_.get(), POLLOUT, 0};
  return regular_ || !fd_ || ::poll(&p, 1, kRoomMs) != 0;
}

int64_t LogFile::position() const { return ::lseek(fd_.get(), 0, SEEK_CUR); }

void LogFile::rewind(int64_t position) {
  if (!regular_ || !fd_ || this->position() <= position) return;
  if (::ftruncate(fd_.get(), position) == 0) ::lseek(fd_.get(), position, SEEK_SET);
}

}  // namespace tend::logs
