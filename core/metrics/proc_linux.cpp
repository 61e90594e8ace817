#include "core/metrics/proc_linux.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace tend::metrics {
namespace {

constexpr std::size_t kMaxHeld = 2048;  // descriptors; beyond, each look opens and closes

struct Stat {
  int64_t ticks = 0;
  int64_t pages = 0;
  int64_t start = 0;
};

// proc(5): the command in field 2 may contain blanks and parentheses, so fields count from the last ')'.
bool parse_stat(const char* text, Stat& out) {
  const char* p = std::strrchr(text, ')');
  if (p == nullptr) return false;
  long long utime = 0;
  long long stime = 0;
  long long start = 0;
  long long pages = 0;
  const int n = std::sscanf(
      p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld %*d %*d %*d %*d %*d %*d %lld %*u %lld",
      &utime, &stime, &start, &pages);
  out = {utime + stime, pages, start};
  return n == 4;
}

}  // namespace

Usage ProcTable::look(int pid, Millis now, Millis fresh) {
  if (pid <= 0) return {};
  Entry& e = entries_[pid];
  if (e.at.n >= 0 && now - e.at < fresh) return e.last;
  UniqueFd opened;
  int fd = e.stat.get();
  if (fd < 0) {
    opened.reset(open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
    fd = opened.get();
  }
  char text[1024];
  const ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof text - 1, 0);
  Stat s;
  if (n <= 0 || (text[n] = '\0', !parse_stat(text, s))) {
    entries_.erase(pid);
    return {};
  }
  static const long kTick = sysconf(_SC_CLK_TCK);
  static const long kPage = sysconf(_SC_PAGESIZE);
  int64_t span = (now - e.at).n;
  int64_t used = s.ticks - e.ticks;
  if (e.at.n < 0) {  // the first look: the mean since the process began, both by the same clock
    span = now.n - s.start * 1000 / kTick;
    used = s.ticks;
  }
  e.last.memory = s.pages * kPage;
  e.last.cpu =
      span > 0 ? static_cast<double>(used) * 100000.0 / static_cast<double>(kTick) / static_cast<double>(span)
               : 0;
  e.ticks = s.ticks;
  e.at = now;
  if (opened && entries_.size() <= kMaxHeld) e.stat = std::move(opened);
  return e.last;
}

void ProcTable::forget(int pid) { entries_.erase(pid); }

}  // namespace tend::metrics
