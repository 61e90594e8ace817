#include <dirent.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "core/base/text.h"
#include "core/tree/marks.h"
#include "core/tree/proc_stat.h"

namespace tend::tree {
namespace {

constexpr std::string_view kTag = "TEND_ID=";

template <class Is>
std::string_view find_entry(std::string_view environment, Is is) {
  while (!environment.empty()) {
    const std::string_view entry = environment.substr(0, environment.find('\0'));
    if (is(entry)) return entry;
    environment.remove_prefix(std::min(environment.size(), entry.size() + 1));
  }
  return {};
}

// What is in a container may bear the same marks: there the same path is another home.
bool is_in_own_namespace(const std::string& folder) {
  struct stat own {
  }, its{};
  return ::stat("/proc/self/ns/pid", &own) != 0 || ::stat((folder + "/ns/pid").c_str(), &its) != 0 ||
         (own.st_dev == its.st_dev && own.st_ino == its.st_ino);
}

// Every living process but this one and its parent of which `is(path of its folder, out)` holds.
template <class Is>
std::vector<Marked> find_processes(Is is) {
  std::vector<Marked> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), &::closedir);
  if (!proc) return found;
  while (const dirent* entry = ::readdir(proc.get())) {
    if (!is_digits(entry->d_name)) continue;
    Marked one;
    one.pid = std::atoi(entry->d_name);
    if (one.pid == ::getpid() || one.pid == ::getppid()) continue;
    const std::string folder = "/proc/" + std::string(entry->d_name);
    if (!is(folder, one) || !is_in_own_namespace(folder)) continue;
    const auto stat = read_stat(one.pid);
    if (!stat || !stat->living()) continue;
    // Opened for that start time: a number that was given anew meanwhile is somebody else's.
    one.start = stat->start;
    one.pidfd = open_pidfd(*stat);
    if (one.pidfd && is(folder, one) && ::syscall(SYS_pidfd_send_signal, one.pidfd.get(), 0, nullptr, 0) == 0)
      found.push_back(std::move(one));
  }
  return found;
}

}  // namespace

std::string home_mark(const std::string& dir, bool pm2) { return (pm2 ? "PM2_HOME=" : "TEND_HOME=") + dir; }

std::string_view tag_in(std::string_view environment) {
  const auto entry = find_entry(environment, [](std::string_view e) { return e.starts_with(kTag); });
  return entry.empty() ? entry : entry.substr(kTag.size(), 64);
}

bool has_entry(std::string_view environment, std::string_view entry) {
  return !find_entry(environment, [&](std::string_view e) { return e == entry; }).empty();
}

std::vector<Marked> marked_processes(std::string_view home_mark) {
  return find_processes([&](const std::string& folder, Marked& out) {
    const std::string environment = read_small((folder + "/environ").c_str());
    out.tag = tag_in(environment);
    return !out.tag.empty() && has_entry(environment, home_mark);
  });
}

std::vector<Marked> processes_titled(std::string_view beginning) {
  return find_processes([&](const std::string& folder, Marked&) {
    return read_small((folder + "/cmdline").c_str()).starts_with(beginning);
  });
}

}  // namespace tend::tree
