#include "core/autopsy/proc_linux.h"

#include <dirent.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "core/base/text.h"
#include "core/base/unique_fd.h"

namespace tend::autopsy {
namespace {

constexpr int kMostThreads = 256;
constexpr int kLooksInARow = 3;
constexpr int kBlindLooksInARow = 5;

double now_ms(clockid_t clock) {
  timespec t{};
  if (::clock_gettime(clock, &t) != 0) return -1;
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
}

// The letters of all threads, counted.
Map thread_states(pid_t pid) {
  Map counts;
  char path[48];
  std::snprintf(path, sizeof path, "/proc/%d/task", pid);
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path), ::closedir);
  if (!folder) return counts;
  for (int seen = 0; seen < kMostThreads;) {
    const dirent* entry = ::readdir(folder.get());
    if (entry == nullptr) break;
    if (!is_digits(entry->d_name)) continue;
    ++seen;
    const auto times = parse_stat(read_proc(pid, ("task/" + std::string(entry->d_name) + "/stat").c_str()));
    if (!times) continue;
    Value& count = counts[std::string(1, times->state)];
    count = count.integer() + 1;
  }
  return counts;
}

}  // namespace

std::string read_proc(pid_t pid, const char* name, std::size_t most) {
  char path[96];
  std::snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  std::string text;
  char piece[4096];
  while (fd && text.size() < most) {
    const ssize_t n = ::read(fd.get(), piece, sizeof piece);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(piece, std::min(static_cast<std::size_t>(n), most - text.size()));
  }
  return text;
}

std::optional<Status> status_of(pid_t pid) { return parse_status(read_proc(pid, "status")); }

void add_kernel_side(Map& evidence, pid_t pid) {
  if (const auto status = status_of(pid)) {
    evidence.set("state", status->state);
    evidence.set("threads", status->threads);
    if (status->rss > 0) evidence.set("rss", status->rss);
    if (status->tracer != 0) evidence.set("tracer", status->tracer);
  }
  // "0" stands for a thread that does not wait.
  if (const std::string wchan(trim(read_proc(pid, "wchan"))); !wchan.empty() && wchan != "0")
    evidence.set("wchan", printable(wchan));
  const auto call = parse_syscall(read_proc(pid, "syscall"));
  if (call) evidence.set("syscall", call->name);
  if (const auto times = parse_stat(read_proc(pid, "stat"))) {
    const int64_t tick_ms = 1000 / std::max(1L, ::sysconf(_SC_CLK_TCK));
    evidence.set("user_ms", static_cast<int64_t>(times->user) * tick_ms);
    evidence.set("system_ms", static_cast<int64_t>(times->system) * tick_ms);
  }
  if (Map states = thread_states(pid); !states.empty()) evidence.set("thread_states", std::move(states));
  // Of a thread that runs it would show the tick that interrupted it.
  if (call && !call->inside) return;
  List stack;
  for (std::string& line : parse_kernel_stack(read_proc(pid, "stack"))) stack.emplace_back(printable(line));
  if (!stack.empty()) evidence.set("kernel_stack", std::move(stack));
}

Sample watch_main_thread(pid_t pid, int most) {
  Sample sample;
  clockid_t cpu{};
  const bool counted = ::clock_getcpuclockid(pid, &cpu) == 0;
  const double wall = now_ms(CLOCK_MONOTONIC);
  const double used = counted ? now_ms(cpu) : -1;
  for (int look = 0, in_a_row = 0; look < most; ++look) {
    if (look > 0) {
      const timespec pause{0, 1'000'000};
      ::nanosleep(&pause, nullptr);
    }
    const auto times = parse_stat(read_proc(pid, "stat"));
    const auto call = parse_syscall(read_proc(pid, "syscall"));
    // A user whose kernel restricts ptrace to descendants (Yama) cannot read the call. R alone means that
    // nothing is waited for; it is looked at more often, for a short wait between two looks stays unseen.
    const bool running = times && times->state == 'R' && (!call || !call->inside);
    in_a_row = running ? in_a_row + 1 : 0;
    if (in_a_row >= (call ? kLooksInARow : kBlindLooksInARow)) {
      sample.running = true;
      break;
    }
  }
  const double used_after = counted ? now_ms(cpu) : -1;
  sample.cpu_ms = used >= 0 && used_after >= used ? used_after - used : -1;
  sample.wall_ms = now_ms(CLOCK_MONOTONIC) - wall;
  return sample;
}

}  // namespace tend::autopsy
