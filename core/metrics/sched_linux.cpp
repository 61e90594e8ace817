#include "core/metrics/sched_linux.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

#include "core/base/unique_fd.h"

namespace tend::metrics {
namespace {

std::string read_proc(int pid, const char* name) {
  char text[4096];
  const UniqueFd fd(open(("/proc/" + std::to_string(pid) + "/" + name).c_str(), O_RDONLY | O_CLOEXEC));
  const ssize_t n = fd ? read(fd.get(), text, sizeof text) : -1;
  return n > 0 ? std::string(text, static_cast<std::size_t>(n)) : std::string();
}

Millis now_of(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return Millis{t.tv_sec * 1000 + t.tv_nsec / 1'000'000};
}

}  // namespace

Sched look_at_sched(int pid) {
  Sched out;
  if (pid <= 0) return out;
  unsigned long long ran = 0, waited = 0;  // ns
  if (std::sscanf(read_proc(pid, "schedstat").c_str(), "%llu %llu", &ran, &waited) == 2)
    out.starved = Millis{static_cast<int64_t>(waited / 1'000'000)};
  constexpr char kTracer[] = "\nTracerPid:\t";
  const std::string status = read_proc(pid, "status");
  const auto at = status.find(kTracer);
  if (at != std::string::npos)
    out.traced = std::strtol(status.c_str() + at + sizeof kTracer - 1, nullptr, 10) > 0;
  return out;
}

Millis machine_asleep() { return now_of(CLOCK_BOOTTIME) - now_of(CLOCK_MONOTONIC); }

}  // namespace tend::metrics
