// ping, kill, version, help.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "cmd/pm2/personality.h"
#include "cmd/render/inspect.h"
#include "cmd/tend/command.h"
#include "cmd/tend/outcomes.h"
#include "core/base/text.h"
#include "core/base/unique_fd.h"
#include "core/model/api.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

int ping(Session& s) {
  auto reply = s.ask(api::kPing, Map{}, Need::started);
  if (!reply) return s.fail(reply.error());
  if (s.args.json) {
    s.print(ipc::to_json(*reply) + "\n");
  } else if (s.pm2) {
    s.print("{ msg: 'pong' }\n");
  } else {
    s.print("pong: tend " + printable(reply->at("version").text()) + " in " +
            printable(reply->at("home").text()) + ", supervisor " +
            std::to_string(reply->at("supervisor").at("pid").integer()) + ", keeper " +
            std::to_string(reply->at("keeper").at("pid").integer()) + "\n");
  }
  return kDone;
}

// By its title and home, because a supervisor that hangs answers no question.
pid_t find_supervisor(const std::string& home) {
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
  if (!proc) return 0;
  const std::string title = std::string("tend: supervisor") + '\0' + home + '\0';
  while (const dirent* entry = ::readdir(proc.get())) {
    if (!is_digits(entry->d_name)) continue;
    const UniqueFd fd(
        ::open(("/proc/" + std::string(entry->d_name) + "/cmdline").c_str(), O_RDONLY | O_CLOEXEC));
    char text[8192];
    const ssize_t n = fd ? ::read(fd.get(), text, sizeof text) : 0;
    if (n > 0 && std::string_view(text, static_cast<std::size_t>(n)).substr(0, title.size()) == title)
      return std::atoi(entry->d_name);
  }
  return 0;
}

int kill_supervisor(Session& s) {
  const pid_t pid = find_supervisor(s.home.dir);
  if (pid == 0) {
    s.say("no supervisor runs in " + printable(s.home.dir) + "\n");
    return kDone;
  }
  if (::kill(pid, SIGKILL) != 0)
    return s.fail(Error{"kill supervisor " + std::to_string(pid) + ": " + std::strerror(errno), 0});
  s.say("supervisor " + std::to_string(pid) + " killed; the keeper starts another\n");
  return kDone;
}

int none_runs(Session& s) {
  if (!s.pm2) {
    s.say("no daemon runs in " + printable(s.home.dir) + "\n");
    return kDone;
  }
  s.complain_raw(pm2::warn("No process found", s.colour_err()));
  s.say(pm2::plain("[v] All Applications Stopped", s.colour()));
  s.say(pm2::plain("[v] PM2 Daemon Stopped", s.colour()));
  return kDone;
}

constexpr int kEndSoonMs = 1000;
constexpr int kEndLimitMs = 10'000;

// `kill` has ended when the daemon has: whoever starts an app next must not meet one that is on its way out. False:
// it runs still.
bool await_end(const UniqueFd& keeper, int limit_ms) {
  pollfd p{keeper.get(), POLLIN, 0};
  int ready = 1;
  while (keeper && (ready = ::poll(&p, 1, limit_ms)) < 0 && errno == EINTR) {
  }
  return ready != 0;
}

UniqueFd watch_keeper(Session& s) {
  const auto who = s.ask(api::kPing, Map{}, Need::existing);
  const int64_t pid = who ? who->at("keeper").at("pid").integer() : 0;
  return UniqueFd(pid > 0 ? static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0)) : -1);
}

int kill_daemon(Session& s) {
  if (extra_word(s)) return s.exit_of(kUsage);
  if (s.args.has("supervisor")) return kill_supervisor(s);
  if (const Status up = s.connect(Need::existing); !up)
    return Session::no_daemon(up.error()) ? none_runs(s) : s.fail(up.error());
  const Millis extra = patience_for(s, {});
  List rows;
  if (s.pm2) {
    if (auto known = s.ask(api::kList, Map{{"detail", "table"}, {"cwd", s.caller.cwd}}, Need::existing))
      rows = known->at("apps").list();
  }
  const UniqueFd keeper = watch_keeper(s);
  const Map params{{"cause", s.caller.cause()}};
  auto reply = s.ask(api::kKill, params, Need::existing, extra);
  const bool unheard = !reply && Session::no_daemon(reply.error());  // its answer was lost, its end is not
  if (!reply && !unheard) return s.fail(reply.error());
  // A supervisor that dies right after its answer has a successor, which must be told.
  if (!await_end(keeper, kEndSoonMs)) {
    s.disconnect();
    (void)s.ask(api::kKill, params, Need::existing, extra);
    await_end(keeper, kEndLimitMs);
  }
  if (!s.pm2) {
    if (unheard) s.say("daemon ended\n");
    else s.say(std::to_string(reply->at("count").integer()) + " stopped, daemon ended\n");
    return kDone;
  }
  if (rows.empty()) return none_runs(s);
  List ids;
  for (const Value& row : rows) ids.push_back(row.at("id"));
  s.say(pm2::applying("delete", "all", ids, s.colour()));
  for (const Value& row : rows) s.say(pm2::ticked(row.at("name").text(), row.at("id").integer(), s.colour()));
  s.say(pm2::plain("[v] All Applications Stopped", s.colour()));
  s.say(pm2::plain("[v] PM2 Daemon Stopped", s.colour()));
  return kDone;
}

int version(Session& s) {
  s.print(s.pm2 ? std::string(pm2::kVersion) + "\n" : "tend " TEND_VERSION "\n");
  return kDone;
}

int help(Session& s) {
  const std::string_view program = s.pm2 ? "pm2" : "tend";
  const Command* command = s.args.words.empty() ? nullptr : find_command(s.args.words[0]);
  if (command == nullptr && !s.args.words.empty()) {
    s.complain("unknown command " + printable(s.args.words[0]));
    return s.exit_of(kUsage);
  }
  s.print(command == nullptr ? help_text(program) : command_help(program, *command));
  return kDone;
}

constexpr CommandFlag kKillFlags[] = {
    {"--supervisor", "", "kill: only the supervisor, which is started again; apps live on."}};

constexpr Command kCommands[] = {
    {"ping", "", "Daemon", "", "Start the daemon if none runs, and ask it who it is.", ping},
    {"kill", "", "Daemon", "", "Stop all apps and end the daemon.", kill_daemon, 0, kKillFlags},
    {"version", "", "Daemon", "", "The version.", version},
    {"help", "", "Daemon", "[command]", "This text.", help},
};

}  // namespace

std::span<const Command> daemon_commands() { return kCommands; }

}  // namespace tend::cli
