#include "core/keeper/spawn_linux.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace tend::keeper {
namespace {

// As fork(), but with a pidfd, and born in the cgroup if one is given. Without CLONE_VM and CLONE_VFORK: an
// exec that hangs on a dead mount must not stop the keeper.
pid_t clone_into(int cgroup, int& pidfd) {
  clone_args args{};
  args.exit_signal = SIGCHLD;
  args.flags = CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  if (cgroup >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(cgroup);
  }
  return static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof args));
}

}  // namespace

int check_blob(int fd) {
  const int seals = fcntl(fd, F_GET_SEALS);
  constexpr int kNeeded = F_SEAL_WRITE | F_SEAL_SHRINK;
  if (seals < 0 || (seals & kNeeded) != kNeeded) return EINVAL;
  struct stat st {};
  if (fstat(fd, &st) != 0) return errno;
  if (st.st_size < static_cast<off_t>(sizeof(SpawnBlobHead))) return EINVAL;
  if (st.st_size > static_cast<off_t>(kMaxBlob)) return EMSGSIZE;
  uint32_t size = 0;
  if (pread(fd, &size, sizeof size, offsetof(SpawnBlobHead, size)) != static_cast<ssize_t>(sizeof size))
    return EINVAL;
  return st.st_size == static_cast<off_t>(size) ? 0 : EINVAL;
}

tl::expected<Spawning, SpawnError> spawn_process(const SpawnFds& fds, const ChildDefaults& defaults) {
  const auto failed = [](int code) {
    return tl::unexpected<SpawnError>(SpawnError{code, static_cast<uint32_t>(Step::fork)});
  };
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return failed(errno);
  UniqueFd ours(ends[0]), theirs(ends[1]);

  pid_t pid = -1;
  int pidfd = -1;
  bool born_inside = false;
  if (fds.cgroup >= 0 && !fds.joins_late) {
    pid = clone_into(fds.cgroup, pidfd);
    born_inside = pid >= 0;
  }
  if (pid < 0) pid = clone_into(-1, pidfd);
  if (pid < 0 && (errno == ENOSYS || errno == EPERM)) {  // an old container's seccomp knows no clone3
    pid = fork();
    if (pid > 0) pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  }
  if (pid < 0) return failed(errno);
  if (pid == 0) become(fds, defaults, theirs.get(), fds.cgroup >= 0 && !born_inside);
  return Spawning{pid, UniqueFd(pidfd), std::move(ours)};
}

}  // namespace tend::keeper
