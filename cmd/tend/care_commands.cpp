// wait, update, deepUpdate; doctor has files of its own.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>

#include "cmd/pm2/personality.h"
#include "cmd/tend/command.h"
#include "cmd/tend/doctor.h"
#include "cmd/tend/outcomes.h"
#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

constexpr Millis kWaitTime{30'000};
constexpr Millis kAnswerTime{5'000};

// Over a connection of its own, so that the daemon's limit is the one that counts; the supervisor's successor
// is asked again, for the time that is left.
Result<Value> ask_wait(Session& s, const std::string& until, Millis limit) {
  const SystemClock clock;
  const Millis end = clock.now() + limit;
  for (;;) {
    const Millis left = std::max(end - clock.now(), Millis{0});
    s.disconnect();
    auto reply = s.ask_long(api::kWait,
                            Map{{"targets", List(s.args.words.begin(), s.args.words.end())},
                                {"cwd", s.caller.cwd},
                                {"for", until},
                                {"limit", left.n}},
                            Need::existing, left + kAnswerTime, {});
    const bool cut = !reply && (reply.error().code == ECONNRESET || reply.error().code == EPIPE);
    if (!cut || left.n == 0) return reply;
  }
}

int wait(Session& s) {
  const std::string until = s.args.value("for", "online");
  if (until != "online" && until != "ready" && until != "healthy" && until != "stopped") {
    s.complain("wait: --for: found " + printable(until) + "; accepted: online, ready, healthy, stopped");
    return s.exit_of(kUsage);
  }
  const Millis limit = s.args.timeout.value_or(kWaitTime);
  auto reply = ask_wait(s, until, limit);
  if (!reply) {
    // What no daemon runs is stopped; for the rest there is nothing to wait for.
    if (Session::no_daemon(reply.error()) && until == "stopped") return kDone;
    return s.fail(reply.error());
  }
  if (s.args.json) s.print(ipc::to_json(*reply) + "\n");
  for (const Value& word : reply->at("missing").list())
    s.complain("wait: process or namespace not found: " + printable(word.text()));
  for (const Value& app : reply->at("apps").list()) {
    const std::string label =
        printable(app.at("name").text()) + " (" + std::to_string(app.at("id").integer()) + ")";
    const std::string& status = app.at("status").text();
    if (!app.at("ok").boolean())
      s.complain("wait: " + label + ": " + status + ", not " + until +
                 (reply->at("late").boolean() ? " within " + show(limit) : ""));
    else if (!s.args.json)
      s.say(label + " " + (until == "stopped" || until == "online" ? status : until) + "\n");
  }
  if (reply->at("ok").boolean()) return kDone;
  return s.exit_of(reply->at("late").boolean() ? kUnavailable : kFailed);
}

std::string program_of(int64_t pid) {
  char path[PATH_MAX];
  const ssize_t n = ::readlink(("/proc/" + std::to_string(pid) + "/exe").c_str(), path, sizeof path);
  return n > 0 ? std::string(path, static_cast<std::size_t>(n)) : std::string();
}

// A supervisor dies, its keeper starts the present program, which goes on where the former one was: apps
// notice nothing.
int update(Session& s) {
  auto before = s.ask(api::kPing, Map{}, s.pm2 ? Need::started : Need::existing);
  if (!before) {
    if (!Session::no_daemon(before.error())) return s.fail(before.error());
    s.say("no daemon runs in " + printable(s.home.dir) + "; the next one is version " TEND_VERSION "\n");
    return kDone;
  }
  if (s.pm2)
    s.say(
        "Be sure to have the latest version by doing `npm install pm2@latest -g` before doing this "
        "procedure.\n");
  const int64_t old = before->at("supervisor").at("pid").integer();
  if (old <= 1 || ::kill(static_cast<pid_t>(old), SIGKILL) != 0)
    return s.fail(Error{"update: end supervisor " + std::to_string(old) + ": " + std::strerror(errno), 0});
  Result<Value> after = fail("update: no supervisor came up");
  // The connection to the dead one ends with an error; the next waits in the keeper's backlog.
  const SystemClock clock;
  for (const Millis end = clock.now() + Millis{30'000}; clock.now() < end;) {
    auto client = ipc::RpcClient::connect(s.home.socket());
    if (client) after = client->call(api::kPing, Map{}, end - clock.now());
    if (after && after->at("supervisor").at("pid").integer() != old) break;
    after = fail("update: no supervisor came up; see " + s.home.daemon_log());
    ::usleep(5'000);
  }
  if (!after) return s.fail(after.error());
  const std::string now = after->at("version").text();
  const int64_t keeper = after->at("keeper").at("pid").integer();
  if (now != TEND_VERSION) {
    s.complain("update: the supervisor is version " + printable(now) +
               ", this program " TEND_VERSION ": the keeper runs " + printable(program_of(keeper)) +
               "; install the new version there, or tend kill and tend resurrect");
    return kFailed;
  }
  if (!s.pm2) {
    s.say("supervisor " + std::to_string(after->at("supervisor").at("pid").integer()) + ", version " +
          printable(now) + "; no app was touched\n");
  }
  // Of a replaced file the kernel says so.
  if (program_of(keeper).ends_with(" (deleted)"))
    s.complain("warning: the keeper goes on as it was started; it is replaced at the next tend kill or boot");
  if (!s.pm2) return kDone;
  s.say(">>>>>>>>>> PM2 updated\n");
  s.flush();
  Session fresh(s.args, s.caller, s.pm2);  // this one's connection was to the supervisor that is gone
  return show_list(fresh);
}

int deep_update(Session& s) {
  s.complain("deepUpdate: a new version comes as this one came (package, build); then: " +
             std::string(s.pm2 ? "pm2" : "tend") + " update");
  return kFailed;
}

constexpr CommandFlag kWaitFlags[] = {
    {"--for", "<state>", "wait: online, ready, healthy or stopped (online)."}};

constexpr Command kCommands[] = {
    {"wait", "", "Looking", "<app>…", "Wait until apps are online, ready, healthy or stopped.", wait, 1,
     kWaitFlags},
    {"doctor", "", "Daemon", "", "Look at the machine and the home, and say what is wrong.", doctor},
    {"update", "updatePM2", "Daemon", "", "Replace the running supervisor by this program; apps go on.",
     update},
    {"deepUpdate", "", "Daemon", "", "PM2's update of itself; says what to do instead.", deep_update},
};

}  // namespace

std::span<const Command> care_commands() { return kCommands; }

}  // namespace tend::cli
