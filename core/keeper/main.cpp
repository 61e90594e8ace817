#include "core/keeper/main.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <optional>

#include "core/base/clock.h"
#include "core/base/crash_trace_linux.h"
#include "core/base/own_program.h"
#include "core/keeper/heritage.h"
#include "core/keeper/home_lock.h"
#include "core/keeper/keeper.h"
#include "core/keeper/state.h"
#include "core/keeper/supervisor_start.h"

namespace tend::keeper {
namespace {

constexpr rlim_t kPrivilegedFiles = 1048576;
constexpr char kOomScore[] = "-900";
constexpr int kLinkFd = 3, kListenerFd = 4;  // of one that succeeds another
constexpr Millis kLockTime{2000};

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

void tell(UniqueFd& ready, std::string_view what) {
  if (!ready) return;
  [[maybe_unused]] const ssize_t n = write(ready.get(), what.data(), what.size());
  ready.reset();
}

// To whoever waits for it, too: nobody reads the standard error of a daemon.
int refuse(UniqueFd& ready, const std::string& line) {
  tell(ready, kKeeperRefuses + line);
  return report(line);
}

uint64_t random_epoch() {
  uint64_t epoch = 0;
  while (epoch == 0 && getrandom(&epoch, sizeof epoch, 0) == static_cast<ssize_t>(sizeof epoch)) {
  }
  return epoch;
}

// A child of the lost keeper that has not executed its program yet holds the lock for a moment.
Result<std::optional<HomeLock>> take_lock(const std::string& dir, bool succeeds) {
  const SystemClock clock;
  const Millis end = clock.now() + (succeeds ? kLockTime : Millis{0});
  for (;;) {
    auto lock = HomeLock::take(dir);
    if (!lock || *lock || clock.now() >= end) return lock;
    ::poll(nullptr, 0, 2);
  }
}

// Of a keeper that succeeded another: in its environment, also under a new program.
std::optional<Heritage> left_heritage() {
  const char* text = std::getenv(kHeritageVariable);
  return read_heritage(text != nullptr ? text : "");
}

// What only the first keeper could see: the caller's limits, before they were changed.
Heritage heritage_of(bool succeeds, bool owned) {
  Heritage own;
  const mode_t before = umask(077);
  if (const auto left = succeeds ? left_heritage() : std::nullopt) return *left;
  own.founder = getpid();
  if (owned) own.owner = getppid();
  own.defaults.umask = before;
  own.defaults.nofile = raise_nofile();
  protect_from_oom(own.defaults.oom_score_adj);
  return own;
}

uint64_t given_epoch() {
  const char* text = std::getenv("TEND_EPOCH");
  return text != nullptr ? std::strtoull(text, nullptr, 16) : 0;
}

// With the lock and the socket, until the end.
int serve(const Options& options, Settings settings, HomeLock& home, const Heritage& heritage,
          const std::function<Status(Keeper&)>& begin) {
  prctl(PR_SET_NAME, "tend");  // executed by a link or a descriptor, it has that for its name
  const std::string program = options.self != nullptr ? options.self : tend::path_of_own_program();
  if (program.empty() || settings.epoch == 0)
    return report("its own program or random numbers cannot be had");
  const SupervisorStart start(program, options.home, settings.epoch,
                              heritage_text({heritage.founder, settings.defaults, heritage.owner}),
                              options.console);
  settings.owned = options.console != Console::none;
  settings.owner = heritage.owner;
  settings.start_supervisor = [&start, &home, dir = options.home.dir] {
    // A socket that cannot be bound again is tried at the next start; the supervisor serves the apps
    // meanwhile.
    const Status bound = home.listen_again(dir);
    return start.start(home.listener(), !bound && bound.error().code == EBUSY);
  };
  settings.home = &home;
  settings.arguments = {"tend: keeper", options.home.dir, options.home.pm2 ? "pm2" : "tend", ""};
  if (options.console != Console::none) settings.arguments.emplace_back(console_word(options.console));
  tend::trace_crashes(options.home.daemon_log(), "keeper " + std::to_string(getpid()));
  Keeper keeper(std::move(settings));
  if (Status opened = keeper.open(); !opened) return report(opened.error().message);
  if (Status begun = begin(keeper); !begun) return report(begun.error().message);
  const int status = keeper.run();
  home.remove_socket();
  return status;
}

// The same process under a new program: what belongs to the process is as it was.
int resume(const Options& options) {
  UniqueFd file(options.state_fd);
  auto opened = StateReader::open(file.get());
  if (!opened) return report(opened.error().message);
  std::optional<StateReader> left(std::move(*opened));
  left->each_fd([](int fd) { fcntl(fd, F_SETFD, FD_CLOEXEC); });
  const StateHead head = left->head();
  Settings settings;
  settings.epoch = head.epoch;
  settings.defaults.umask = head.umask;
  settings.defaults.nofile = {head.nofile, head.nofile_most};
  std::copy(std::begin(head.oom_score_adj), std::end(head.oom_score_adj),
            settings.defaults.oom_score_adj.begin());
  HomeLock home = HomeLock::restore(head);
  Heritage heritage;
  heritage.founder = getpid();
  if (const auto inherited = left_heritage()) heritage = *inherited;
  return serve(options, std::move(settings), home, heritage, [&](Keeper& keeper) -> Status {
    keeper.restore(*left);
    left.reset();
    file.reset();
    return {};
  });
}

}  // namespace

int run(const Options& options) try {
  if (options.state_fd >= 0) return resume(options);
  fill_standard_fds();
  // Nothing that a caller forgot to close may live as long as the apps do.
  UniqueFd ready(options.ready_fd);
  UniqueFd link(options.succeeds ? kLinkFd : -1), listener(options.succeeds ? kListenerFd : -1);
  close_from(options.succeeds ? kListenerFd + 1 : STDERR_FILENO + 1, ready.get());
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);

  Settings settings;
  const Heritage heritage = heritage_of(options.succeeds, options.console != Console::none);
  settings.defaults = heritage.defaults;
  auto lock = take_lock(options.home.dir, options.succeeds);
  if (!lock) return refuse(ready, lock.error().message);
  if (!*lock) {
    tell(ready, {&kAnotherKeeper, 1});
    return 0;
  }
  HomeLock& home = **lock;
  home.inherit(std::move(listener));
  const auto bound = home.listen_or_move(options.home.dir);
  if (!bound) return refuse(ready, bound.error().message);
  if (!*bound) {
    tell(ready, {&kAnotherKeeper, 1});
    return 0;
  }

  settings.epoch = options.succeeds ? given_epoch() : random_epoch();
  settings.predecessor = std::move(link);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return report("PR_SET_CHILD_SUBREAPER refused");
  return serve(options, std::move(settings), home, heritage, [&](Keeper&) -> Status {
    detach(options.console);
    if (chdir("/") != 0) return fail_errno("chdir /");
    tell(ready, {&kKeeperReady, 1});
    return {};
  });
} catch (const std::bad_alloc&) {  // before it ran: the loop itself refuses what it has no memory for
  std::fputs("tend: keeper: out of memory\n", stderr);
  return 1;
}

int check_state(int state_fd, int answer_fd, const std::function<Status(const Held&)>& daemon) {
  const auto state = StateReader::open(state_fd);
  Status good = state ? Status() : tl::unexpected<Error>(state.error());
  if (good) {
    state->each_fd([&](int fd) {
      if (good && fcntl(fd, F_GETFD) < 0) good = fail_errno("descriptor " + std::to_string(fd));
    });
  }
  if (good) {
    good = daemon([&](std::string_view name) {
      for (size_t i = 0; i < state->held(); ++i)
        if (const StateHeld held = state->held(i); held.name == name) return held.fd;
      return -1;
    });
  }
  // The proof is something that no other program would say.
  const std::string text = good ? std::string() : good.error().message;
  const void* said = good ? static_cast<const void*>(&state->head().epoch) : text.data();
  const size_t size = good ? sizeof state->head().epoch : std::min(text.size(), size_t{kNameSize - 1});
  return write(answer_fd, said, size) == static_cast<ssize_t>(size) && good ? 0 : 1;
}

}  // namespace tend::keeper
