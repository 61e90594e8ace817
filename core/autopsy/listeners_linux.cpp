#include "core/autopsy/listeners_linux.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>

#include "core/base/unique_fd.h"

namespace tend::autopsy {
namespace {

constexpr std::size_t kMostListeners = 4096;

void read_listeners(pid_t pid, const char* table, std::vector<Socket>& out) {
  char path[48];
  std::snprintf(path, sizeof path, "/proc/%d/net/%s", pid, table);
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  std::string text;
  char piece[4096];
  bool title = true;
  while (fd) {
    const ssize_t n = ::read(fd.get(), piece, sizeof piece);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.append(piece, static_cast<std::size_t>(n));
    for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
      const auto socket = parse_tcp_line(std::string_view(text).substr(0, end));
      text.erase(0, end + 1);
      if (std::exchange(title, false)) continue;
      if (!socket || !socket->listening || out.size() >= kMostListeners) return;
      out.push_back(*socket);
    }
  }
}

}  // namespace

std::vector<Socket> listening_sockets(pid_t pid) {
  std::vector<Socket> out;
  read_listeners(pid, "tcp", out);
  read_listeners(pid, "tcp6", out);
  return out;
}

bool holds_socket(pid_t pid, uint64_t inode) {
  char path[48];
  std::snprintf(path, sizeof path, "/proc/%d/fd", pid);
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path), ::closedir);
  if (!folder) return false;
  const std::string wanted = "socket:[" + std::to_string(inode) + "]";
  char target[64];
  while (const dirent* entry = ::readdir(folder.get())) {
    const ssize_t n = ::readlinkat(::dirfd(folder.get()), entry->d_name, target, sizeof target);
    if (n > 0 && std::string_view(target, static_cast<std::size_t>(n)) == wanted) return true;
  }
  return false;
}

bool same_network(pid_t pid) {
  char path[48];
  std::snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
  struct stat theirs {};
  struct stat ours {};
  return ::stat(path, &theirs) == 0 && ::stat("/proc/self/ns/net", &ours) == 0 &&
         theirs.st_ino == ours.st_ino;
}

}  // namespace tend::autopsy
