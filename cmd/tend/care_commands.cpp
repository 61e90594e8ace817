// wait, update, deepUpdate; doctor has files of its own.
#include <cerrno>

#include "cmd/pm2/personality.h"
#include "cmd/tend/command.h"
#include "cmd/tend/doctor.h"
#include "cmd/tend/update_command.h"
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
    {"update", "updatePM2", "Daemon", "[program]", "Replace the running daemon by this program; apps go on.",
     update_command},
    {"deepUpdate", "", "Daemon", "", "PM2's update of itself; says what to do instead.", deep_update},
};

}  // namespace

std::span<const Command> care_commands() { return kCommands; }

}  // namespace tend::cli
