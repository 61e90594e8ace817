#include "cmd/tend/daemon_start.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "cmd/tend/caller.h"
#include "core/base/clock.h"
#include "core/base/own_program.h"
#include "core/base/unique_fd.h"
#include "core/keeper/main.h"
#include "core/model/api.h"

namespace tend::cli {
namespace {

constexpr Millis kNoKeeper{5'000};     // no keeper stays
constexpr Millis kKeeperBusy{30'000};  // one is there and does not listen yet: the machine is loaded
constexpr Millis kSpawnAgain{1'000};   // doubles: the winner of the lock may have died before it listened
constexpr int kReadyFd = 3;
constexpr Millis kSuccessionTime{20'000};
constexpr int kLookAgainMs = 20;

Status make_folders(const std::string& dir) {
  for (std::size_t at = dir.find('/', 1);; at = dir.find('/', at + 1)) {
    const std::string part = dir.substr(0, at);
    if (::mkdir(part.c_str(), at == std::string::npos ? 0700 : 0755) != 0 && errno != EEXIST)
      return fail_errno("create " + part);
    if (at == std::string::npos) return {};
  }
}

// What must not stay in the daemon: it would tell each app that it is somebody else's child.
void scrub_environment() {
  std::vector<std::string> names;
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    if (inherited_mark(name)) names.emplace_back(name);
  }
  for (const auto& name : names) ::unsetenv(name.c_str());
}

void default_signals() {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// In the grandchild, which is about to be the keeper; never returns.
[[noreturn]] void become_keeper(const Home& home, int ready, Console console = Console::none) {
  default_signals();
  scrub_environment();
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {0, 1, 2})
    if ((fd == 0 || console <= Console::quiet) && (null < 0 || ::dup2(null, fd) < 0)) ::_exit(127);
  if (ready == kReadyFd) {
    if (::fcntl(ready, F_SETFD, 0) != 0) ::_exit(127);
  } else if (::dup2(ready, kReadyFd) < 0) {
    ::_exit(127);
  }
  // Nothing that the caller held open may live as long as the daemon does; older kernels rely on CLOEXEC
  // alone.
  ::syscall(SYS_close_range, kReadyFd + 1, ~0u, 0);
  const std::string program = own_program();
  if (::chdir("/") != 0) ::_exit(127);
  std::string title = "tend: keeper", dir = home.dir, name = home.pm2 ? "pm2" : "tend",
              fd = std::to_string(kReadyFd), word(console_word(console));
  char* const argv[] = {
      title.data(), dir.data(), name.data(), fd.data(), console == Console::none ? nullptr : word.data(),
      nullptr};
  ::execv(program.c_str(), argv);
  ::_exit(127);
}

Result<UniqueFd> spawn_keeper(const Home& home) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe");
  UniqueFd ours(ends[0]), theirs(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("fork");
  if (child == 0) {
    ::setsid();
    const pid_t keeper = ::fork();  // no session leader: it can never get a terminal
    if (keeper != 0) ::_exit(keeper < 0 ? 1 : 0);
    become_keeper(home, theirs.get());
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) return fail("start the daemon: fork failed");
  return ours;
}

// In the child of a program in the foreground.
[[noreturn]] void become_owned_keeper(const Home& home, int ready, Console console, pid_t owner) {
  ::setsid();  // Ctrl-C is the owner's to translate
  // SIGTERM is what the keeper takes for the order to stop everything.
  if (::prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || ::getppid() != owner) ::_exit(127);
  become_keeper(home, ready, console);
}

// What the keeper said within `limit`: one of keeper::kKeeperReady and its like, why after kKeeperRefuses; ""
// for nothing.
std::string word_of_keeper(int ready, Millis limit) {
  pollfd p{ready, POLLIN, 0};
  while (::poll(&p, 1, static_cast<int>(limit.n)) < 0 && errno == EINTR) {
  }
  std::string said;
  if (p.revents == 0) return said;
  char piece[512];
  for (ssize_t n = 0; (n = ::read(ready, piece, sizeof piece)) > 0;) {
    said.append(piece, static_cast<std::size_t>(n));
    if (said[0] != keeper::kKeeperRefuses || said.size() > sizeof piece) break;
  }
  return said;
}

Status refused(const std::string& said) {
  if (said.empty() || said[0] != keeper::kKeeperRefuses) return {};
  return fail("the daemon cannot start: " + said.substr(1));
}

}  // namespace

Result<pid_t> start_owned_daemon(const Home& home, Console console) {
  if (auto made = make_folders(home.dir); !made) return tl::unexpected<Error>(made.error());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe");
  const UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const pid_t owner = ::getpid();
  const pid_t keeper = ::fork();
  if (keeper < 0) return fail_errno("fork");
  if (keeper == 0) become_owned_keeper(home, theirs.get(), console, owner);
  theirs.reset();
  const std::string said = word_of_keeper(ours.get(), kKeeperBusy);
  if (said.starts_with(keeper::kKeeperReady)) return keeper;
  ::kill(keeper, SIGTERM);
  ::waitpid(keeper, nullptr, 0);
  if (auto why = refused(said); !why) return tl::unexpected<Error>(why.error());
  if (said.starts_with(keeper::kAnotherKeeper))
    return fail("a daemon runs in " + home.dir + " already: end it with kill, or use another home", EBUSY);
  return fail("the daemon did not come up; see " + home.daemon_log());
}

Result<ipc::RpcClient> start_daemon(const Home& home) {
  if (auto made = make_folders(home.dir); !made) return tl::unexpected<Error>(made.error());
  const SystemClock clock;
  const Millis began = clock.now();
  for (Millis pause_to_spawn = kSpawnAgain;; pause_to_spawn = pause_to_spawn + pause_to_spawn) {
    auto ready = spawn_keeper(home);
    if (!ready) return tl::unexpected<Error>(ready.error());
    const std::string said = word_of_keeper(ready->get(), began + kKeeperBusy - clock.now());
    if (auto why = refused(said); !why) return tl::unexpected<Error>(why.error());
    const bool held = !said.empty();
    const Millis end = began + (held ? kKeeperBusy : kNoKeeper);
    const Millis again = std::min(end, clock.now() + pause_to_spawn);
    for (int pause = 1;; pause = std::min(pause * 2, 20)) {
      auto client = ipc::RpcClient::connect(home.socket());
      if (client) return client;
      if (client.error().code != ENOENT && client.error().code != ECONNREFUSED) return client;
      if (clock.now() >= end)
        return fail("the daemon did not come up within " + std::to_string((end - began).n / 1000) +
                        "s; see " + home.daemon_log(),
                    ipc::kDeadlineCode);
      if (clock.now() >= again) break;
      ::poll(nullptr, 0, pause);  // somebody else's keeper is about to listen: there is nothing to wait on
    }
  }
}

pid_t await_successor(const Home& home, pid_t lost) {
  const SystemClock clock;
  for (const Millis end = clock.now() + kSuccessionTime; clock.now() < end;
       ::poll(nullptr, 0, kLookAgainMs)) {
    auto client = ipc::RpcClient::connect(home.socket());
    if (!client && client.error().code == ECONNREFUSED) return 0;  // both daemons are gone
    const auto who =
        client ? client->call(api::kPing, Map{}, end - clock.now()) : Result<Value>(fail("no daemon"));
    if (!who) continue;
    const auto keeper = static_cast<pid_t>(who->at("keeper").at("pid").integer());
    if (keeper != lost) return keeper;  // until the supervisor has noticed it still names the lost one
  }
  return 0;
}

}  // namespace tend::cli
