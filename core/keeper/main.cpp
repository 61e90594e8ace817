#include "core/keeper/main.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>

#include "core/keeper/home_lock.h"
#include "core/keeper/keeper.h"
#include "core/keeper/supervisor_start.h"

namespace tend::keeper {
namespace {

constexpr rlim_t kPrivilegedFiles = 1048576;
constexpr char kOomScore[] = "-900";

int report(const std::string& line) {
  std::fprintf(stderr, "tend: keeper: %s\n", line.c_str());
  return 1;
}

rlimit raise_nofile() {
  rlimit original{};
  getrlimit(RLIMIT_NOFILE, &original);
  rlimit more{std::max(original.rlim_max, kPrivilegedFiles), std::max(original.rlim_max, kPrivilegedFiles)};
  if (geteuid() == 0 && setrlimit(RLIMIT_NOFILE, &more) == 0) return original;
  more = {original.rlim_max, original.rlim_max};
  setrlimit(RLIMIT_NOFILE, &more);
  return original;
}

// The apps' descriptors die with the keeper: it is the last one to pick. Without the privilege it stays as it
// is.
void protect_from_oom(std::array<char, 16>& original) {
  const UniqueFd file(open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC));
  std::array<char, 16> before{};
  if (!file || read(file.get(), before.data(), before.size() - 1) <= 0) return;
  if (pwrite(file.get(), kOomScore, sizeof kOomScore - 1, 0) > 0) original = before;
}

void detach(Console console) {
  setsid();  // fails if the caller did it
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  const int last = console == Console::none ? STDERR_FILENO : STDIN_FILENO;
  for (int fd = STDIN_FILENO; fd <= last && null; ++fd) dup2(null.get(), fd);
}

// Where the caller had no 0, 1 or 2, the lock would come to lie there and be overwritten.
void fill_standard_fds() {
  int fd = -1;
  do {
    fd = open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) close(fd);
}

std::string own_program() {
  std::array<char, PATH_MAX> path{};
  const ssize_t n = readlink("/proc/self/exe", path.data(), path.size());
  return n > 0 ? std::string(path.data(), static_cast<size_t>(n)) : std::string();
}

void tell(UniqueFd& ready, char what) {
  if (!ready) return;
  [[maybe_unused]] const ssize_t n = write(ready.get(), &what, 1);
  ready.reset();
}

uint64_t random_epoch() {
  uint64_t epoch = 0;
  while (epoch == 0 && getrandom(&epoch, sizeof epoch, 0) == static_cast<ssize_t>(sizeof epoch)) {
  }
  return epoch;
}

}  // namespace

int run(const Options& options) try {
  fill_standard_fds();
  // Nothing that a caller forgot to close may live as long as the apps do.
  UniqueFd ready(options.ready_fd);
  close_from(STDERR_FILENO + 1, ready.get());
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);

  Settings settings;
  settings.defaults.umask = umask(077);
  auto lock = HomeLock::take(options.home.dir);
  if (!lock) return report(lock.error().message);
  if (!*lock) {
    tell(ready, kAnotherKeeper);
    return 0;
  }
  HomeLock& home = **lock;
  if (Status bound = home.listen(); !bound) return report(bound.error().message);

  const std::string program = options.self != nullptr ? options.self : own_program();
  settings.epoch = random_epoch();
  if (program.empty() || settings.epoch == 0) return report("no /proc, or no random numbers");
  settings.defaults.nofile = raise_nofile();
  protect_from_oom(settings.defaults.oom_score_adj);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return report("PR_SET_CHILD_SUBREAPER refused");
  const SupervisorStart start(program, options.home.dir, options.home.pm2, settings.epoch, options.console);
  settings.start_supervisor = [&start, &home] {
    // A socket that cannot be bound again is tried at the next start; the supervisor serves the apps
    // meanwhile.
    [[maybe_unused]] const Status bound = home.listen();
    return start.start(home.listener());
  };
  Keeper keeper(std::move(settings));
  if (Status opened = keeper.open(); !opened) return report(opened.error().message);

  detach(options.console);
  if (chdir("/") != 0) return report("chdir /");
  tell(ready, kKeeperReady);
  const int status = keeper.run();
  home.remove_socket();
  return status;
} catch (const std::bad_alloc&) {  // before it ran: the loop itself refuses what it has no memory for
  std::fputs("tend: keeper: out of memory\n", stderr);
  return 1;
}

}  // namespace tend::keeper
