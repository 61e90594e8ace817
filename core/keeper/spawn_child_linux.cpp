// From the birth of a process to its execve. The keeper has one thread and the memory is a copy, so that libc
// may be used; identities are still set by raw calls, which touch this thread only and need no agreement of
// others.
#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/keeper/spawn_linux.h"

namespace tend::keeper {
namespace {

constexpr int kStandardFds = 3;

// Reads the NUL-terminated strings of a blob in their order and never past its end.
class Strings {
 public:
  Strings(char* begin, char* end) : at_(begin), end_(end) {}
  char* next() {  // null: there is no whole string left
    void* nul = std::memchr(at_, 0, static_cast<size_t>(end_ - at_));
    if (nul == nullptr) return nullptr;
    char* string = at_;
    at_ = static_cast<char*>(nul) + 1;
    return string;
  }

 private:
  char* at_;
  char* end_;
};

void close_but_one(unsigned first, unsigned last, int keep) {
  DIR* dir = opendir("/proc/self/fd");
  if (dir == nullptr) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    for (unsigned fd = first; fd <= last && fd < limit.rlim_cur; ++fd) {
      if (static_cast<int>(fd) != keep) close(static_cast<int>(fd));
    }
    return;
  }
  while (const dirent* item = readdir(dir)) {
    const int fd = std::atoi(item->d_name);
    if (fd >= static_cast<int>(first) && static_cast<unsigned>(fd) <= last && fd != keep && fd != dirfd(dir))
      close(fd);
  }
  closedir(dir);
}

void close_span(unsigned first, unsigned last, int keep) {
  if (first > last) return;
  if (syscall(SYS_close_range, first, last, 0) != 0) close_but_one(first, last, keep);  // before Linux 5.9
}

class Child {
 public:
  Child(const SpawnFds& fds, const ChildDefaults& defaults, int error_pipe)
      : fds_(fds), defaults_(defaults), error_pipe_(error_pipe) {}

  [[noreturn]] void run(bool join_cgroup) {
    default_signals();
    read_blob();
    if (setsid() < 0) fail(Step::session);
    if (join_cgroup) enter_cgroup();
    set_oom_score();
    // Descriptors come early: from here on a child that hangs (directory, exec) holds no lock and no socket
    // of the keeper, and lowering RLIMIT_NOFILE can hurt no open() of ours.
    place_descriptors();
    set_limits();
    umask(head_.umask >= 0 ? static_cast<mode_t>(head_.umask) : defaults_.umask);
    const bool in_place = enter_directory(false);
    set_identity();
    if (!in_place) enter_directory(true);
    if ((extras_.flags & SpawnExtras::kNoNewPrivs) != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
      fail(Step::identity);
    write_own_pid();
    empty_signal_mask();
    execve(path_, argv_, envp_);
    fail(Step::exec);
  }

 private:
  [[noreturn]] void fail(Step step, int code = errno) {
    const SpawnError error{code, static_cast<uint32_t>(step)};
    // Eight bytes into an empty pipe: never partial. If the keeper is gone, nobody wants to know.
    [[maybe_unused]] const ssize_t n = write(error_pipe_, &error, sizeof error);
    _exit(127);
  }

  void read_blob() {
    if (pread(fds_.blob, &head_, sizeof head_, 0) != static_cast<ssize_t>(sizeof head_))
      fail(Step::none, EINVAL);
    const size_t size = head_.size;
    // Each string has at least its NUL, so that the counts are bounded by the size.
    if (size < sizeof head_ || size > kMaxBlob || head_.argc == 0 || head_.argc > size || head_.envc > size ||
        head_.group_count > std::size(head_.groups)) {
      fail(Step::none, EINVAL);
    }
    void* blob = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fds_.blob, 0);
    const size_t pointers = (size_t{head_.argc} + head_.envc + 2) * sizeof(char*);
    void* table = mmap(nullptr, pointers, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (blob == MAP_FAILED || table == MAP_FAILED) fail(Step::none);

    char* base = static_cast<char*>(blob);
    Strings strings(base + sizeof head_, base + size);
    path_ = strings.next();
    cwd_ = strings.next();
    argv_ = static_cast<char**>(table);
    envp_ = argv_ + head_.argc + 1;
    bool whole = path_ != nullptr && cwd_ != nullptr;
    for (uint32_t i = 0; whole && i < head_.argc; ++i) whole = (argv_[i] = strings.next()) != nullptr;
    for (uint32_t i = 0; whole && i < head_.envc; ++i) whole = (envp_[i] = strings.next()) != nullptr;
    if (!whole) fail(Step::none, EINVAL);
    if (head_.extras == 0) return;
    if (head_.extras > size || size - head_.extras < sizeof extras_) fail(Step::none, EINVAL);
    std::memcpy(&extras_, base + head_.extras, sizeof extras_);
  }

  void enter_cgroup() {
    const UniqueFd procs(openat(fds_.cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC));
    if (!procs || write(procs.get(), "0", 1) != 1) fail(Step::cgroup);
  }

  // The keeper's own is no app's.
  void set_oom_score() {
    auto score = defaults_.oom_score_adj;
    const bool wanted = (extras_.flags & SpawnExtras::kOomScore) != 0;
    if (wanted) std::snprintf(score.data(), score.size(), "%d", extras_.oom_score_adj);
    if (score[0] == '\0') return;
    const UniqueFd file(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
    if (!file || write(file.get(), score.data(), std::strlen(score.data())) < 0)
      fail(wanted ? Step::oom_score : Step::limits);
  }

  void set_extras() {
    if (extras_.data > 0 && !lower(RLIMIT_DATA, extras_.data)) fail(Step::limits);
    if (extras_.processes > 0 && !lower(RLIMIT_NPROC, extras_.processes)) fail(Step::limits);
    if ((extras_.flags & SpawnExtras::kAffinity) != 0 &&
        syscall(SYS_sched_setaffinity, 0, sizeof extras_.cpus, extras_.cpus) < 0) {
      fail(Step::affinity);
    }
  }

  static bool lower(int which, int64_t most) {
    const auto value = static_cast<rlim_t>(most);
    const rlimit limit{value, value};
    return setrlimit(static_cast<__rlimit_resource>(which), &limit) == 0;
  }

  void place_descriptors() {
    const int count = static_cast<int>(fds_.child.size());
    const int first_free = std::max(count, kStandardFds);
    int sources[kMaxFdsPerMessage];
    error_pipe_ = move_up(error_pipe_, first_free);
    for (int i = 0; i < count; ++i) sources[i] = move_up(fds_.child[static_cast<size_t>(i)], first_free);
    for (int i = 0; i < count; ++i) {
      if (dup3(sources[i], i, 0) < 0) fail(Step::descriptors);
    }
    for (int i = count; i < kStandardFds; ++i) {
      // A program without 0, 1 or 2 would find its first file there.
      UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
      if (!null) fail(Step::descriptors);
      const int high = move_up(null.get(), first_free);
      null.reset();
      if (dup3(high, i, 0) < 0) fail(Step::descriptors);
    }
    close_from(first_free, error_pipe_);
  }

  int move_up(int fd, int at_least) {
    const int moved = fcntl(fd, F_DUPFD_CLOEXEC, at_least);
    if (moved < 0) fail(Step::descriptors);
    return moved;
  }

  void set_limits() {
    rlimit limit = defaults_.nofile;
    if (head_.nofile > 0) {
      limit.rlim_cur = static_cast<rlim_t>(head_.nofile);
      limit.rlim_max = std::max(limit.rlim_max, limit.rlim_cur);
    }
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) fail(Step::limits);
    set_extras();
    if (head_.nice != 0 && setpriority(PRIO_PROCESS, 0, head_.nice) != 0) fail(Step::limits);
  }

  // Before privileges go, because only root may be allowed in; after that if root is the one who is not
  // (NFS).
  bool enter_directory(bool last_try) {
    if (*cwd_ == '\0' || chdir(cwd_) == 0) return true;
    if (errno != EACCES || last_try) fail(Step::directory);
    return false;
  }

  void set_identity() {
    const bool has_uid = head_.uid >= 0;
    const bool has_gid = head_.gid >= 0;
    const auto uid = static_cast<uid_t>(head_.uid);
    const auto gid = static_cast<gid_t>(head_.gid);
    // Without privileges the own identity may be named: there is nothing to change.
    if (geteuid() != 0 && (!has_uid || uid == geteuid()) && (!has_gid || gid == getegid())) return;
    if (has_uid && syscall(SYS_setgroups, size_t{head_.group_count}, head_.groups) != 0) fail(Step::identity);
    if (has_gid && syscall(SYS_setresgid, gid, gid, gid) != 0) fail(Step::identity);
    if (has_uid && syscall(SYS_setresuid, uid, uid, uid) != 0) fail(Step::identity);
  }

  void write_own_pid() {
    for (size_t n = 0; n < std::size(kOwnPid); ++n) {
      if ((head_.own_pid & 1u << n) == 0) continue;
      std::snprintf(own_pid_[n], sizeof own_pid_[n], "%s%d", kOwnPid[n], static_cast<int>(getpid()));
      for (uint32_t i = 0; i < head_.envc; ++i) {
        if (std::strncmp(envp_[i], kOwnPid[n], std::strlen(kOwnPid[n])) == 0) envp_[i] = own_pid_[n];
      }
    }
  }

  const SpawnFds& fds_;
  const ChildDefaults& defaults_;
  int error_pipe_;
  SpawnBlobHead head_;
  SpawnExtras extras_;
  char* path_ = nullptr;
  char* cwd_ = nullptr;
  char** argv_ = nullptr;
  char** envp_ = nullptr;
  char own_pid_[std::size(kOwnPid)][32] = {};  // the longest entry and a pid
};

}  // namespace

void default_signals() {
  // The kernel's struct sigaction, all zero: SIG_DFL, no flags. libc's sigaction() refuses the two that it
  // uses itself.
  alignas(8) const char nothing[64] = {};
  for (int number = 1; number < NSIG; ++number) {
    syscall(SYS_rt_sigaction, number, nothing, nullptr, size_t{8});
  }
}

void empty_signal_mask() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

void close_from(int first, int keep) {
  const auto from = static_cast<unsigned>(first);
  if (keep < first) return close_span(from, UINT_MAX, -1);
  if (keep > first) close_span(from, static_cast<unsigned>(keep) - 1, keep);
  close_span(static_cast<unsigned>(keep) + 1, UINT_MAX, keep);
}

void become(const SpawnFds& fds, const ChildDefaults& defaults, int error_pipe, bool join_cgroup) {
  Child(fds, defaults, error_pipe).run(join_cgroup);
}

}  // namespace tend::keeper
