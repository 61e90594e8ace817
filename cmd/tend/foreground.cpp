#include "cmd/tend/foreground.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "cmd/tend/daemon_start.h"
#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/model/api.h"

namespace tend::cli {
namespace {

constexpr Millis kAskLimit{2000};
constexpr Millis kSoon{50};         // several events, one look
constexpr Millis kAgain{500};       // after a supervisor that did not answer
constexpr Millis kUserGrace{6000};  // what a user stopped may be started again
constexpr int kTailMs = 250;        // how often files are looked at that report nothing
constexpr int kFeedMs = 300;
constexpr int kKillRounds = 20;  // orphans of orphans come as their parents go
constexpr int kHandled[] = {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};

Millis now() { return SystemClock().now(); }

bool ended(const Value& row) {
  const std::string& status = row.at("status").text();
  return status == "stopped" || status == "errored";
}

// It ended, and not because somebody stopped it or never started it.
bool by_itself(const Value& row) {
  const std::string& cause = row.at("cause").at("kind").text();
  if (row.at("status").text() == "errored") return true;
  return ended(row) && !row.at("exited").is_null() && cause != "user" && cause != "none";
}

// Of the last process, as a shell has it.
int shell_status(const Value& row) {
  const std::string& name = row.at("exit_signal").text();
  for (int number = 1; !name.empty() && number < NSIG; ++number) {
    const char* known = ::sigabbrev_np(number);
    if (known != nullptr && name == std::string("SIG") + known) return 128 + number;
  }
  return static_cast<int>(row.at("exit_code").integer());
}

// The apps of a container that was killed are gone with it, though the machine has not been started since.
// Whoever has the lock has the journal.
void forget_former_life(const Home& home) {
  const UniqueFd lock(::open(home.lock().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) ::unlink(home.journal().c_str());
}

}  // namespace

Status Foreground::open() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : kHandled) ::sigaddset(&set, number);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return fail_errno("block signals");
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return fail_errno("signalfd");
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return fail_errno("PR_SET_CHILD_SUBREAPER");
  if (::getpid() == 1) forget_former_life(s_.home);
  auto keeper = start_owned_daemon(s_.home, form_.console);
  if (!keeper) return tl::unexpected<Error>(keeper.error());
  keeper_ = *keeper;
  if (form_.tail) tail_.emplace(s_, *form_.tail);
  feed_.emplace(s_.home.socket());
  return {};
}

int Foreground::run() {
  if (const Status opened = open(); !opened) return s_.fail(opened.error());
  if (::getpid() != 1) {
    // What a daemon left that was killed here, with all of its apps wanted.
    const auto left = s_.ask(api::kList, Map{{"detail", "brief"}, {"cwd", s_.caller.cwd}}, Need::existing);
    if (left && !left->at("apps").list().empty())
      (void)s_.ask(api::kAct,
                   Map{{"verb", "delete"},
                       {"targets", List{"all"}},
                       {"cwd", s_.caller.cwd},
                       {"cause", s_.caller.cause()}},
                   Need::existing);
  }
  for (const Millis begin = now() + form_.delay; !signalled_ && keeper_ != 0 && now() < begin;) {
    pollfd p{signals_.get(), POLLIN, 0};
    ::poll(&p, 1, static_cast<int>(std::min<int64_t>((begin - now()).n, 60'000)));
    on_signals();
  }
  if (!signalled_ && keeper_ != 0 && !form_.start()) {
    status_ = s_.exit_of(kFailed);
    ::kill(keeper_, SIGTERM);
  }
  s_.flush();
  refresh_at_ = now();
  if (form_.auto_exit == AutoExit::pm2) look_at_ = now() + Millis{6000};
  if (form_.auto_exit == AutoExit::dev) look_at_ = now() + Millis{3000};
  loop();
  on_events();
  if (tail_) (void)tail_->step(0);
  kill_children();
  if (!signalled_ || !status_) return status_.value_or(kFailed);
  return form_.always_done ? static_cast<int>(kDone) : own_status();
}

void Foreground::loop() {
  while (keeper_ != 0) {
    std::optional<Millis> next;
    for (const auto& due : {refresh_at_, look_at_})
      if (due && (!next || *due < *next)) next = due;
    int wait = next ? static_cast<int>(std::clamp<int64_t>((*next - now()).n, 0, 60'000)) : -1;
    if (tail_) wait = wait < 0 ? kTailMs : std::min(wait, kTailMs);
    pollfd p[] = {
        {signals_.get(), POLLIN, 0}, {feed_->fd(), POLLIN, 0}, {tail_ ? tail_->fd() : -1, POLLIN, 0}};
    ::poll(p, std::size(p), wait);
    if (p[1].revents != 0) on_events();
    if (tail_) (void)tail_->step(0);
    on_signals();
    if (keeper_ == 0) break;
    if (refresh_at_ && *refresh_at_ <= now()) refresh();
    if (look_at_ && *look_at_ <= now()) look();
  }
  feed_->finish();
}

void Foreground::on_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    const int number = static_cast<int>(info.ssi_signo);
    if (number == SIGCHLD)
      reap();
    else if (number == SIGTERM || number == SIGINT || number == SIGQUIT)
      end(number);
    else
      forward(number);
  }
}

void Foreground::reap() {
  pid_t pid = 0;
  while ((pid = ::waitpid(-1, nullptr, WNOHANG)) > 0) {
    if (pid != keeper_) continue;
    // A supervisor that lives starts another one, which becomes a child of this process.
    keeper_ = status_ ? 0 : await_successor(s_.home, keeper_);
    if (status_ || keeper_ != 0) continue;
    // Its apps have come to this process, and nobody else will end them.
    s_.complain("the daemon ended; its apps are killed");
    status_ = s_.exit_of(kFailed);
  }
}

// The keeper asks the supervisor to stop everything in the apps' own time, and does it itself if that one
// does not stir: nothing to wait for here but its end.
void Foreground::end(int number) {
  if (signalled_) return;
  signalled_ = true;
  if (!status_) status_ = kDone;
  if (form_.on_signal) form_.on_signal();
  s_.flush();
  // The apps' last words of status come as events: a feed that has lost its supervisor gets the time to find
  // it.
  for (int waited = 0; !feed_->connected() && waited < kFeedMs; waited += 5) ::poll(nullptr, 0, 5);
  ::kill(keeper_, number);
}

void Foreground::forward(int number) {
  auto client = ipc::RpcClient::connect(s_.home.socket());
  const Map params{{"signal", number}, {"targets", List{"all"}}, {"cwd", s_.caller.cwd}};
  const auto sent = client ? client->call(api::kSignal, params, kAskLimit) : Result<Value>(fail("no daemon"));
  if (!sent)
    s_.complain("signal " + std::to_string(number) + " to the apps: " + printable(sent.error().message));
}

void Foreground::on_events() {
  for (const Value& event : feed_->take()) {
    if (event.at("event").text() == "exit") {
      const Value& signal = event.at("exit_signal");
      statuses_[event.at("id").integer()] =
          static_cast<int>(signal.is_null() ? event.at("exit_code").integer() : 128 + signal.integer());
    }
    if (form_.on_event && !event.is_null() && !signalled_) form_.on_event(event);
    if (!refresh_at_) refresh_at_ = now() + kSoon;
  }
  s_.flush();
}

void Foreground::refresh() {
  refresh_at_.reset();
  if (status_) return;
  auto client = ipc::RpcClient::connect(s_.home.socket());
  const Map params{{"detail", "full"}, {"cwd", s_.caller.cwd}};
  auto reply = client ? client->call(api::kList, params, kAskLimit) : Result<Value>(fail("no daemon"));
  if (!reply) {
    refresh_at_ = now() + kAgain;
    return;
  }
  rows_ = reply->at("apps").list();
  for (const Value& row : rows_)
    if (!row.at("exit_code").is_null()) statuses_.try_emplace(row.at("id").integer(), shell_status(row));
  if (tail_) tail_->add(rows_);
  if (form_.auto_exit != AutoExit::at_once) return;
  if (!std::all_of(rows_.begin(), rows_.end(), ended)) {
    look_at_.reset();
  } else if (std::any_of(rows_.begin(), rows_.end(), by_itself)) {
    look_at_ = now();
  } else if (!look_at_) {
    look_at_ = now() + kUserGrace;
  }
}

// Whether there is still something to be here for.
void Foreground::look() {
  look_at_.reset();
  if (status_) return;
  if (form_.auto_exit == AutoExit::at_once) {
    on_events();
    status_ = own_status();
    ::kill(keeper_, SIGTERM);
    return;
  }
  const bool running = std::any_of(rows_.begin(), rows_.end(), [](const Value& row) {
    return api::is_online(row.at("status").text()) || row.at("status").text() == "launching";
  });
  if (running) misses_ = 0;
  if (form_.auto_exit == AutoExit::pm2) return running ? miss(2000, 0, 0) : miss(2000, 4, 2);
  running ? miss(3000, 0, 0) : miss(3000, 2, 1);
}

// `most` misses end it; 0: this was none.
void Foreground::miss(int64_t next_ms, int most, int status) {
  look_at_ = now() + Millis{next_ms};
  refresh_at_ = *look_at_ - Millis{kSoon};
  if (most == 0) return;
  ++misses_;
  if (form_.auto_exit == AutoExit::pm2)
    s_.say("0 application online, retry = " + std::to_string(most - misses_) + "\n");
  if (misses_ < most) return;
  if (form_.auto_exit == AutoExit::dev) s_.say("0 application online, exiting\n");
  s_.flush();
  look_at_.reset();
  status_ = status;
  ::kill(keeper_, SIGTERM);
}

// One app: what a shell would say. Several: whether one failed; after an order to stop, none did.
int Foreground::own_status() const {
  if (rows_.size() > 1) {
    const bool failed =
        std::any_of(statuses_.begin(), statuses_.end(), [](const auto& x) { return x.second != 0; });
    const bool errored = std::any_of(rows_.begin(), rows_.end(),
                                     [](const Value& row) { return row.at("status").text() == "errored"; });
    return !signalled_ && (failed || errored) ? kFailed : kDone;
  }
  const int status = statuses_.empty() ? 0 : statuses_.begin()->second;
  const bool errored = rows_.size() == 1 && rows_[0].at("status").text() == "errored";
  return status == 0 && errored ? kFailed : status;
}

// Whoever escaped from its app's tree and outlived the keeper came here.
void Foreground::kill_children() {
  const std::string path = "/proc/self/task/" + std::to_string(::getpid()) + "/children";
  for (int round = 0; round < kKillRounds; ++round) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char text[4096];
    const ssize_t n = file ? ::read(file.get(), text, sizeof text - 1) : 0;
    if (n <= 0) return;
    for (const auto& word : split(std::string_view(text, static_cast<std::size_t>(n)), ' '))
      if (is_digits(word) && word.size() < 10)
        ::kill(static_cast<pid_t>(std::atoi(std::string(word).c_str())), SIGKILL);
    ::poll(nullptr, 0, 5);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
}

}  // namespace tend::cli
