#include "cmd/tend/follow_linux.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace tend::cli {
namespace {

constexpr int kLookMs = 250;
constexpr std::size_t kLongestLine = 16u << 20;  // a longer one is printed in parts

}  // namespace

Follower::Follower(std::function<void(std::size_t, std::string_view)> line, bool raw)
    : line_(std::move(line)), raw_(raw), inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {}

std::size_t Follower::add(std::string path, UniqueFd fd, int64_t offset, std::string begun) {
  File file;
  file.path = std::move(path);
  file.fd = std::move(fd);
  file.offset = offset;
  file.begun = std::move(begun);
  struct stat st {};
  if (file.fd && ::fstat(file.fd.get(), &st) == 0) {
    file.device = st.st_dev;
    file.inode = st.st_ino;
  }
  watch_file(file);
  watch_folder(file.path);
  files_.push_back(std::move(file));
  return files_.size() - 1;
}

// Without inotify, or beyond its limits, the periodic look is all there is.
void Follower::watch_folder(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  if (inotify_)
    (void)::inotify_add_watch(inotify_.get(), folder.c_str(), IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
}

void Follower::watch_file(File& file) {
  file.watch = inotify_ && file.fd ? ::inotify_add_watch(inotify_.get(), file.path.c_str(), IN_MODIFY) : -1;
}

void Follower::read_new(std::size_t index) {
  File& file = files_[index];
  if (!file.fd) return;
  struct stat st {};
  if (::fstat(file.fd.get(), &st) != 0) return;
  if (st.st_size < file.offset) {  // truncated: what is there now is new
    file.offset = 0;
    file.begun.clear();
  }
  char block[64 << 10];
  for (;;) {
    const ssize_t n = ::pread(file.fd.get(), block, sizeof block, file.offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    file.offset += n;
    std::string_view rest(block, static_cast<std::size_t>(n));
    if (raw_) {
      line_(index, rest);
      continue;
    }
    for (std::size_t end = 0; (end = rest.find('\n')) != std::string_view::npos;
         rest.remove_prefix(end + 1)) {
      file.begun += rest.substr(0, end);
      line_(index, file.begun);
      file.begun.clear();
    }
    file.begun += rest;
    if (file.begun.size() > kLongestLine) {
      line_(index, file.begun);
      file.begun.clear();
    }
  }
}

void Follower::look(std::size_t index) {
  read_new(index);
  File& file = files_[index];
  struct stat st {};
  if (::stat(file.path.c_str(), &st) != 0) return;  // moved away: its writer may still have it, as have we
  if (file.fd && st.st_dev == file.device && st.st_ino == file.inode) return;
  UniqueFd fresh(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fresh || ::fstat(fresh.get(), &st) != 0 || !S_ISREG(st.st_mode)) return;
  read_new(index);  // what came into the old one until there was a new one
  if (!file.begun.empty()) {  // the old file will not end this line
    line_(index, file.begun);
    file.begun.clear();
  }
  file.fd = std::move(fresh);
  file.device = st.st_dev;
  file.inode = st.st_ino;
  file.offset = 0;
  watch_file(file);
  read_new(index);
}

void Follower::look_at_all() {
  for (std::size_t i = 0; i < files_.size(); ++i) look(i);
}

Status Follower::step(int limit_ms, int wake) {
  pollfd p[2] = {{inotify_.get(), POLLIN, 0}, {wake, POLLIN, 0}};  // a negative one is passed over
  const int ready = ::poll(p, 2, std::min(limit_ms, kLookMs));
  if (ready < 0 && errno != EINTR) return fail_errno("poll");
  bool all = ready <= 0;
  std::vector<bool> changed(files_.size(), false);
  if (ready > 0 && p[0].revents != 0) {
    alignas(inotify_event) char events[16 << 10];
    const ssize_t n = ::read(inotify_.get(), events, sizeof events);
    for (ssize_t at = 0; n > 0 && at < n;) {
      const auto* event = reinterpret_cast<const inotify_event*>(events + at);
      all = all || (event->mask & (IN_CREATE | IN_MOVED_TO | IN_Q_OVERFLOW)) != 0;
      for (std::size_t i = 0; i < files_.size(); ++i)
        if (files_[i].watch == event->wd) changed[i] = true;
      at += static_cast<ssize_t>(sizeof *event + event->len);
    }
  }
  for (std::size_t i = 0; i < files_.size(); ++i) {
    if (all)
      look(i);
    else if (changed[i])
      read_new(i);
  }
  return {};
}

}  // namespace tend::cli
