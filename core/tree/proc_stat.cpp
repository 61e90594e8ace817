#include "core/tree/proc_stat.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace tend::tree {

std::string read_small(const char* path) {
  constexpr std::size_t kMost = 1u << 20;
  std::string text;
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return text;
  char piece[4096];
  while (text.size() < kMost) {
    const ssize_t n = ::read(fd.get(), piece, sizeof piece);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(piece, static_cast<std::size_t>(n));
  }
  return text;
}

std::optional<ProcStat> read_stat(int pid) {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return std::nullopt;
  char line[1024];
  const ssize_t n = ::read(fd.get(), line, sizeof line - 1);
  if (n <= 0) return std::nullopt;
  line[n] = '\0';
  const char* after_name = std::strrchr(line, ')');  // the name may hold spaces and brackets
  if (after_name == nullptr) return std::nullopt;
  ProcStat s;
  s.pid = pid;
  unsigned long long start = 0;
  // proc(5): state ppid pgrp session … num_threads (20) itrealvalue starttime (22)
  const int got = std::sscanf(after_name + 1,
                              " %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d %*d %llu",
                              &s.state, &s.ppid, &s.session, &s.threads, &start);
  if (got != 5) return std::nullopt;
  s.start = start;
  return s;
}

UniqueFd open_pidfd(const ProcStat& process) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
  if (!fd) return fd;
  if (process.start == 0) {
    if (::getsid(process.pid) != process.pid) fd.reset();
    return fd;
  }
  const auto now = read_stat(process.pid);
  if (!now || now->start != process.start) fd.reset();
  return fd;
}

bool send_signal(const ProcStat& process, int signal) {
  const UniqueFd fd = open_pidfd(process);
  return fd && ::syscall(SYS_pidfd_send_signal, fd.get(), signal, nullptr, 0) == 0;
}

}  // namespace tend::tree
