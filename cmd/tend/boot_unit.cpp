#include "cmd/tend/boot_unit.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <climits>
#include <cstring>

#include "cmd/tend/daemon_start.h"
#include "cmd/tend/outcomes.h"
#include "core/base/text.h"
#include "core/base/unique_fd.h"
#include "core/model/api.h"
#include "core/tree/unit_room.h"

namespace tend::cli {
namespace {

constexpr Millis kRestoreTime{240'000};

std::string real(const std::string& path) {
  char out[PATH_MAX];
  return ::realpath(path.c_str(), out) != nullptr ? out : "";
}

// sd_notify(3). Nobody listens, or not any more: nothing to do.
void tell_manager(const Session& s, const std::string& text) {
  const char* at = s.caller.variable("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (at == nullptr || (*at != '@' && *at != '/') || std::strlen(at) >= sizeof address.sun_path) return;
  const std::size_t length = std::strlen(at);
  std::memcpy(address.sun_path, at, length);
  if (*at == '@') address.sun_path[0] = '\0';
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return;
  (void)::sendto(fd.get(), text.data(), text.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address),
                 static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
}

UniqueFd signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, number);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);  // the keeper's start undoes it for the daemon
  return UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC));
}

// Everything is stopped as by `kill`, over a connection of its own: that of the start may be a dead
// supervisor's.
UniqueFd open_pidfd(pid_t pid) { return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

int stop_everything(const Session& s, const UniqueFd& keeper) {
  tell_manager(s, "STOPPING=1");
  Session fresh(s.args, s.caller, s.pm2);
  if (const Status up = fresh.connect(Need::existing); !up)
    return Session::no_daemon(up.error()) ? kDone : fresh.fail(up.error());
  const Millis extra = patience_for(fresh, {});
  if (auto reply = fresh.ask(api::kKill, Map{{"cause", "stop of its unit"}}, Need::existing, extra); !reply)
    return fresh.fail(reply.error());
  pollfd p{keeper.get(), POLLIN, 0};
  constexpr int kLimitMs = 10'000;
  while (::poll(&p, 1, kLimitMs) < 0 && errno == EINTR) {
  }
  return kDone;
}

}  // namespace

std::string own_program(const Session& s) {
  const std::string self = real("/proc/self/exe");
  if (self.empty()) return {};
  const char* path = s.caller.variable("PATH");
  for (const auto& dir : split(path == nullptr ? "" : path, ':')) {
    const std::string file = dir + (s.pm2 ? "/pm2" : "/tend");
    if (!dir.empty() && dir[0] == '/' && real(file) == self) return file;
  }
  // Not the file that a link leads to: by another name it is another program.
  if (real(s.caller.program) == self) return s.caller.program;
  return self;
}

int unit_left(Session&) {
  tree::make_room_for_unit();
  return kDone;
}

int unit_run(Session& s) {
  const UniqueFd asked = signals();
  if (!asked) return s.fail(Error{"signalfd: " + std::string(std::strerror(errno)), 0});
  auto restored = s.ask(api::kResurrect, Map{{"cause", "boot"}, {"env", s.caller.env_value()}}, Need::started,
                        kRestoreTime);
  // A list that is not there or cannot be read keeps no app from being started by hand.
  if (!restored) s.complain(printable(restored.error().message));
  auto who = s.ask(api::kPing, Map{}, Need::started);
  if (!who) return s.fail(who.error());
  auto keeper_pid = static_cast<pid_t>(who->at("keeper").at("pid").integer());
  UniqueFd keeper = open_pidfd(keeper_pid);
  if (!keeper) return s.fail(Error{"the daemon ended at once; see " + s.home.daemon_log(), 0});
  std::size_t good = 0, all = 0;
  if (restored) {
    for (const Value& outcome : restored->at("results").list()) {
      ++all;
      if (outcome.at("ok").boolean()) ++good;
    }
    if (!show_outcomes(s, *restored)) s.flush();
  }
  tell_manager(s, "READY=1\nSTATUS=" + std::to_string(good) + " of " + std::to_string(all) +
                      " restored; daemon " + std::to_string(keeper_pid) + "\n");
  s.flush();
  for (;;) {
    pollfd waits[] = {{asked.get(), POLLIN, 0}, {keeper.get(), POLLIN, 0}};
    if (::poll(waits, 2, -1) < 0 && errno != EINTR)
      return s.fail(Error{"poll: " + std::string(std::strerror(errno)), 0});
    if (waits[0].revents != 0) {
      signalfd_siginfo info{};
      if (::read(asked.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) continue;
      return info.ssi_signo == SIGHUP ? int{kDone} : stop_everything(s, keeper);
    }
    if (waits[1].revents != 0) {
      // One that ends in order removes its socket last.
      if (::access(s.home.socket().c_str(), F_OK) != 0) return kDone;
      keeper_pid = await_successor(s.home, keeper_pid);
      if (keeper_pid != 0) keeper = open_pidfd(keeper_pid);
      if (keeper_pid != 0 && keeper) continue;
      s.complain("the daemon is lost; see " + printable(s.home.daemon_log()));
      return kFailed;
    }
  }
}

}  // namespace tend::cli
