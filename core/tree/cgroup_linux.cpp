#include <dirent.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string_view>
#include <utility>

#include "core/base/own_program.h"
#include "core/tree/cgroup.h"
#include "core/tree/proc_stat.h"
#include "core/tree/unit_room.h"

namespace tend::tree {
namespace {

uint64_t fnv64(std::string_view text) {
  uint64_t h = 14695981039346656037u;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return h;
}

// The keeper's own cgroup as a path in this mount namespace; "" when cgroup v2 is not mounted.
std::string base_of(int keeper_pid) {
  std::string own;
  std::istringstream lines(read_small(("/proc/" + std::to_string(keeper_pid) + "/cgroup").c_str()));
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("0::", 0) == 0) own = line.substr(3);
  }
  if (own.empty()) return {};
  std::istringstream mounts(read_small("/proc/self/mountinfo"));
  for (std::string line; std::getline(mounts, line);) {
    const std::size_t dash = line.find(" - cgroup2 ");
    if (dash == std::string::npos) continue;
    std::istringstream fields(line);  // id parent major:minor root mount-point …, see proc(5)
    std::string skip, root, point;
    fields >> skip >> skip >> skip >> root >> point;
    std::string_view below = own;
    if (root != "/") {
      if (below.substr(0, root.size()) != root) continue;
      below.remove_prefix(root.size());
    }
    if (below == "/") below = {};
    return point + std::string(below);
  }
  return {};
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), &::closedir);
  if (!dir) return names;
  while (const dirent* entry = ::readdir(dir.get())) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  return names;
}

// cgroupfs takes a value whole or not at all.
bool put(const std::string& file, std::string_view text) {
  const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

constexpr std::string_view kDaemons = "/tend-daemon";
constexpr std::string_view kUnit = "/tend-unit";  // DelegateSubgroup= of the unit that `startup` writes
constexpr const char* kControllers[] = {"memory", "cpu", "pids"};
constexpr const char *kMemory = "/memory.max", *kCpu = "/cpu.max", *kPids = "/pids.max";

// A group whose members share its controllers may have no processes of its own (cgroups(7)): the daemons go
// into one beside the apps'. Not where somebody else lives there too, as in the session of a login.
bool leave(const std::string& base) {
  std::vector<std::string> own;
  std::istringstream lines(read_small((base + "/cgroup.procs").c_str()));
  const std::string program = path_of_own_program();
  for (std::string pid; std::getline(lines, pid);) {
    if (path_of_program(static_cast<pid_t>(std::atol(pid.c_str()))) != program) return false;
    own.push_back(pid);
  }
  const std::string group = base + std::string(kDaemons);
  if (::mkdir(group.c_str(), 0755) != 0 && errno != EEXIST) return false;
  for (const std::string& pid : own) put(group + "/cgroup.procs", pid);
  return true;
}

// Only the root of the hierarchy may share controllers and have processes of its own; it has no type. memory
// is refused to any other, but cpu and pids are given: they turn it into the root of threaded groups, and
// those below it into invalid ones, where nothing can be born (cgroups(7), "thread mode").
bool may_share(const std::string& base) {
  if (::access((base + "/cgroup.type").c_str(), F_OK) != 0) return true;
  return read_small((base + "/cgroup.procs").c_str()).empty() ||
         (leave(base) && read_small((base + "/cgroup.procs").c_str()).empty());
}

bool is_domain(const std::string& group) {
  const std::string type = read_small((group + "/cgroup.type").c_str());
  return type == "domain\n";
}

void set_limits(const std::string& group, const GroupLimits& limits) {
  const auto number = [](int64_t n) { return std::to_string(n); };
  if (limits.memory > 0) put(group + kMemory, number(limits.memory));
  if (limits.cpu > 0) put(group + kCpu, number(limits.cpu) + " 100000");
  if (limits.pids > 0) put(group + kPids, number(limits.pids));
}

constexpr const char* kMemoryEvents = "/memory.events";
// A process that ends within this time after the kernel killed one of its group was that one.
constexpr std::chrono::seconds kOfNow{2};

std::optional<int64_t> oom_kills_in(const std::string& group) {
  const std::string text = read_small((group + kMemoryEvents).c_str());
  constexpr std::string_view kKey = "oom_kill ";
  const std::size_t at = text.find(kKey);
  if (at == std::string::npos) return {};
  return std::strtoll(text.c_str() + at + kKey.size(), nullptr, 10);
}

// A group that is gone has nobody in it.
bool populated(const std::string& group) {
  return read_small((group + "/cgroup.events").c_str()).find("populated 1") != std::string::npos;
}

}  // namespace

Cgroups::Cgroups(loop::Loop& loop, const std::string& home, Lineage lineage) : loop_(loop) {
  std::string base = std::getenv("TEND_NO_CGROUP") == nullptr ? base_of(lineage.keeper) : std::string();
  base = base_group(std::move(base));
  if (base.empty() || ::access(base.c_str(), W_OK) != 0) return;
  char prefix[32];
  std::snprintf(prefix, sizeof prefix, "tend-%016" PRIx64 "-", fnv64(home));
  const std::string own = prefix + std::to_string(lineage.founder);
  base_ = base;
  root_ = base + "/" + own;
  for (const std::string& name : names_in(base)) {
    if (name.rfind(prefix, 0) != 0 || name == own) continue;
    const std::string stale = base + "/" + name;
    for (const std::string& group : names_in(stale)) ::rmdir((stale + "/" + group).c_str());
    ::rmdir(stale.c_str());  // the kernel refuses both while somebody lives in them
  }
}

Cgroups::~Cgroups() {
  for (const std::string& group : unremoved_) ::rmdir(group.c_str());
  if (!root_.empty()) ::rmdir(root_.c_str());  // stays while it has groups
}

std::string Cgroups::path(uint32_t id, uint32_t spawn) const {
  return root_ + "/" + std::to_string(id) + "." + std::to_string(spawn);
}

// Permission to write the folder is not permission to move into it (the common ancestor counts, cgroups(7)),
// so a throw-away child tries once what the keeper is going to do.
bool Cgroups::probe() {
  if (works_ != Works::unknown) return works_ == Works::yes;
  works_ = Works::no;
  if (root_.empty() || (::mkdir(root_.c_str(), 0755) != 0 && errno != EEXIST)) return false;
  const std::string group = root_ + "/probe";
  if (::mkdir(group.c_str(), 0755) != 0 && errno != EEXIST) return false;
  {
    const UniqueFd dir(::open(group.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    clone_args args{};
    args.flags = CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(dir.get());
    const long pid = dir ? ::syscall(SYS_clone3, &args, sizeof args) : -1;
    if (pid == 0) ::syscall(SYS_exit_group, 0);
    if (pid > 0) {
      // No exit signal was asked for: the owner's SIGCHLD handling never hears of this child.
      while (::waitpid(static_cast<pid_t>(pid), nullptr, __WALL) < 0 && errno == EINTR) {
      }
      works_ = Works::yes;
    }
  }
  if (::rmdir(group.c_str()) != 0) unremoved_.push_back(group);
  if (works_ == Works::no) ::rmdir(root_.c_str());
  return works_ == Works::yes;
}

// Not before an app has a limit: each controller costs the kernel something. Who else lives in the base may
// go later, and what was given may be taken (make_room_for_unit): so it is looked at each time.
void Cgroups::share_controllers() {
  const std::string control = "/cgroup.subtree_control";
  if (read_small((root_ + control).c_str()).size() > 1 || !may_share(base_)) return;
  std::string before = " " + read_small((base_ + control).c_str());
  std::replace(before.begin(), before.end(), '\n', ' ');
  std::vector<std::string> given;
  for (const std::string name : kControllers) {
    if (before.find(" " + name + " ") == std::string::npos && put(base_ + control, "+" + name))
      given.push_back(name);
  }
  if (!is_domain(root_)) {  // somebody came in meanwhile
    for (const std::string& name : given) put(base_ + control, "-" + name);
    return;
  }
  for (const std::string name : kControllers) put(root_ + control, "+" + name);
}

void Cgroups::limit(uint32_t id, uint32_t spawn, const GroupLimits& limits) {
  if (!limits.any() || !exists(id, spawn)) return;
  share_controllers();
  set_limits(path(id, spawn), limits);
}

UniqueFd Cgroups::make(uint32_t id, uint32_t spawn, const GroupLimits& limits) {
  if (!probe()) return {};
  if (limits.any()) share_controllers();
  const std::string group = path(id, spawn);
  // One that is left from an instance which nobody wanted was killed, and Linux 6.18 kills what is born in
  // such a one.
  ::rmdir(group.c_str());
  if (::mkdir(group.c_str(), 0755) != 0 && errno == ENOENT) {
    ::mkdir(root_.c_str(), 0755);
    ::mkdir(group.c_str(), 0755);
  }
  set_limits(group, limits);
  if (limits.memory > 0) watch_ooms(group);
  return UniqueFd(::open(group.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

GroupLimits Cgroups::missing(uint32_t id, uint32_t spawn, GroupLimits limits) const {
  const auto kept = [&](const char* file) {
    const std::string text = root_.empty() ? std::string() : read_small((path(id, spawn) + file).c_str());
    return !text.empty() && !text.starts_with("max");
  };
  if (limits.memory > 0 && kept(kMemory)) limits.memory = 0;
  if (limits.cpu > 0 && kept(kCpu)) limits.cpu = 0;
  if (limits.pids > 0 && kept(kPids)) limits.pids = 0;
  return limits;
}

std::optional<int64_t> Cgroups::oom_kills(uint32_t id, uint32_t spawn) const {
  if (root_.empty()) return {};
  const std::string group = path(id, spawn);
  const std::optional<int64_t> all = oom_kills_in(group);
  if (!all) return {};
  for (const auto& [watch, oom] : ooms_) {
    if (oom.group != group) continue;
    if (*all > oom.seen) return *all - oom.seen;
    return std::chrono::steady_clock::now() - oom.at < kOfNow ? oom.last : 0;
  }
  return all;  // its group is a former supervisor's
}

void Cgroups::watch_ooms(const std::string& group) {
  if (!oom_kills_in(group) || !open_inotify()) return;
  const int watch = ::inotify_add_watch(inotify_.get(), (group + kMemoryEvents).c_str(), IN_MODIFY);
  if (watch >= 0) ooms_.insert_or_assign(watch, Oom{group, 0, 0, {}});
}

bool Cgroups::exists(uint32_t id, uint32_t spawn) const {
  return !root_.empty() && ::access(path(id, spawn).c_str(), F_OK) == 0;
}

std::vector<int> Cgroups::pids(uint32_t id, uint32_t spawn) const {
  std::vector<int> found;
  const std::string text = read_small((path(id, spawn) + "/cgroup.procs").c_str());
  for (const char* at = text.c_str(); *at != '\0';) {
    char* end = nullptr;
    const long pid = std::strtol(at, &end, 10);
    if (end == at) break;
    if (pid > 1) found.push_back(static_cast<int>(pid));  // 0: lives in another pid namespace
    at = *end == '\n' ? end + 1 : end;
  }
  return found;
}

void Cgroups::kill(uint32_t id, uint32_t spawn) const {
  const UniqueFd fd(::open((path(id, spawn) + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC));
  if (fd && ::write(fd.get(), "1", 1) == 1) return;
  // Before Linux 5.14. What was signalled cannot fork again, so each round meets fewer; await() meets the
  // rest.
  for (int round = 0; round < 16; ++round) {
    const std::vector<int> left = pids(id, spawn);
    if (left.empty()) return;
    for (const int pid : left) {
      if (const auto p = read_stat(pid)) send_signal(*p, SIGKILL);
    }
  }
}

bool Cgroups::open_inotify() {
  if (inotify_) return true;
  inotify_.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify_) return false;
  poll_ = std::make_unique<loop::Poll>(loop_, inotify_.get(), [this](int) { on_inotify(); });
  poll_->watch(UV_READABLE);
  return true;
}

bool Cgroups::await(uint32_t id, uint32_t spawn, std::function<void()> empty) {
  std::string group = path(id, spawn);
  if (!populated(group)) {
    loop_.defer(std::move(empty));
    return true;
  }
  if (!open_inotify()) return false;
  const int watch = ::inotify_add_watch(inotify_.get(), (group + "/cgroup.events").c_str(), IN_MODIFY);
  if (watch < 0) return errno == ENOENT ? (loop_.defer(std::move(empty)), true) : false;
  if (!populated(group)) {  // between the look and the watch
    ::inotify_rm_watch(inotify_.get(), watch);
    loop_.defer(std::move(empty));
    return true;
  }
  watches_.insert_or_assign(watch, Watch{std::move(group), std::move(empty)});
  return true;
}

void Cgroups::forget(uint32_t id, uint32_t spawn) {
  if (watches_.empty()) return;
  const std::string group = path(id, spawn);
  for (auto it = watches_.begin(); it != watches_.end(); ++it) {
    if (it->second.group != group) continue;
    ::inotify_rm_watch(inotify_.get(), it->first);
    watches_.erase(it);
    return;
  }
}

void Cgroups::on_inotify() {
  alignas(inotify_event) char buffer[4096];
  std::vector<int> touched;
  ssize_t n = 0;
  while ((n = ::read(inotify_.get(), buffer, sizeof buffer)) > 0) {
    for (ssize_t at = 0; at < n;) {
      inotify_event event{};
      std::memcpy(&event, buffer + at, sizeof event);
      at += static_cast<ssize_t>(sizeof event + event.len);
      if ((event.mask & IN_Q_OVERFLOW) != 0) {
        for (const auto& [watch, unused] : watches_) touched.push_back(watch);
        for (const auto& [watch, unused] : ooms_) touched.push_back(watch);
      } else {
        touched.push_back(event.wd);
      }
    }
  }
  for (const int watch : touched) {
    if (const auto it = ooms_.find(watch); it != ooms_.end()) {
      Oom& oom = it->second;
      const int64_t all = oom_kills_in(oom.group).value_or(oom.seen);
      if (all > oom.seen) oom = {oom.group, all, all - oom.seen, std::chrono::steady_clock::now()};
      continue;
    }
    const auto it = watches_.find(watch);
    if (it == watches_.end() || populated(it->second.group)) continue;
    loop_.defer(std::move(it->second.empty));
    ::inotify_rm_watch(inotify_.get(), watch);
    watches_.erase(it);
  }
}

void Cgroups::remove(uint32_t id, uint32_t spawn) {
  if (root_.empty()) return;
  unremoved_.push_back(path(id, spawn));
  std::erase_if(ooms_, [&](const auto& one) {
    return one.second.group == unremoved_.back() && (::inotify_rm_watch(inotify_.get(), one.first), true);
  });
  std::erase_if(unremoved_,
                [](const std::string& group) { return ::rmdir(group.c_str()) == 0 || errno != EBUSY; });
}

std::string base_group(std::string group) {
  for (const std::string_view own : {kDaemons, kUnit})
    if (group.ends_with(own)) group.resize(group.size() - own.size());
  return group;
}

bool make_room_for_unit() {
  std::string base = base_of(::getpid());
  constexpr std::string_view kControl = "/.control";  // where systemd puts ExecStopPost= of a delegated unit
  if (!base.ends_with(kControl)) return false;
  base.resize(base.size() - kControl.size());
  if (::access((base + std::string(kUnit)).c_str(), F_OK) == 0) return true;  // systemd 254: no need
  const auto take = [](const std::string& group) {
    for (const std::string name : kControllers) put(group + "/cgroup.subtree_control", "-" + name);
  };
  for (const std::string& name : names_in(base)) {
    if (name.starts_with("tend-")) take(base + "/" + name);
  }
  take(base);
  return true;
}

}  // namespace tend::tree
