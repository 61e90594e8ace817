#include "cmd/tend/update_command.h"

#include <signal.h>
#include <unistd.h>

#include "cmd/tend/outcomes.h"
#include "core/base/clock.h"
#include "core/base/own_program.h"
#include "core/base/text.h"
#include "core/model/api.h"

namespace tend::cli {
namespace {

constexpr Millis kReplaced{30'000};
constexpr int kUnknownMethod = -2;  // of a daemon without this request
constexpr int kMostCuts = 20;
constexpr std::string_view kGone = " (deleted)";

struct Running {
  int64_t supervisor = 0, keeper = 0, upgrades = 0;
  std::string version, keeper_version;
};

Running running_of(const Value& ping) {
  const Value& keeper = ping.at("keeper");
  return {ping.at("supervisor").at("pid").integer(), keeper.at("pid").integer(),
          keeper.at("upgrades").integer(), ping.at("version").text(), keeper.at("version").text()};
}

// This one, or the one that was named.
std::string wanted_program(const Session& s) {
  if (!s.args.words.empty()) {
    const std::string& word = s.args.words[0];
    return word[0] == '/' ? word : s.caller.cwd + "/" + word;
  }
  std::string path = path_of_own_program();
  if (path.ends_with(kGone)) path.resize(path.size() - kGone.size());
  return path;
}

bool was_cut(const Error& error) {
  return error.code == ECONNRESET || error.code == EPIPE || error.code == kInterruptedCode;
}

// One that is about to be replaced by somebody else's update may not come to answer: its successor is asked.
Result<Value> ask_ping(Session& s) {
  for (int tries = 0;; ++tries) {
    auto ping = s.ask(api::kPing, Map{}, s.pm2 ? Need::started : Need::existing);
    if (ping || !was_cut(ping.error()) || tries == kMostCuts) return ping;
    s.disconnect();
  }
}

// The connection to the former supervisor ends with an error; the next waits in the keeper's backlog.
Result<Running> await_successor(const Session& s, int64_t former) {
  const SystemClock clock;
  for (const Millis end = clock.now() + kReplaced; clock.now() < end;) {
    Result<Value> after = fail("");
    if (auto client = ipc::RpcClient::connect(s.home.socket()))
      after = client->call(api::kPing, Map{}, end - clock.now());
    if (after && after->at("supervisor").at("pid").integer() != former) return running_of(*after);
    // It answers, but not to this: words for a person, as that it does not understand what was left to it.
    if (!after && after.error().code < 0) return tl::unexpected<Error>(after.error());
    ::usleep(5'000);
  }
  return fail("no supervisor came up; see " + s.home.daemon_log());
}

Result<Running> replace_supervisor(const Session& s, int64_t former) {
  if (former <= 1 || ::kill(static_cast<pid_t>(former), SIGKILL) != 0)
    return fail_errno("end supervisor " + std::to_string(former));
  return await_successor(s, former);
}

struct Updated {
  Running now;
  bool keeper = false;  // it was replaced too
};

Result<Updated> update_daemon(Session& s, Running before, const std::string& program) {
  const auto order = [&] { return s.ask(api::kUpdate, Map{{"program", program}}, Need::existing); };
  Result<Value> answer = order();
  if (!answer && answer.error().code == kUnknownMethod) {
    // A supervisor of an older version: its successor knows more.
    auto now = replace_supervisor(s, before.supervisor);
    if (!now) return tl::unexpected<Error>(now.error());
    before = *now;
    s.disconnect();
    answer = order();
    if (!answer && answer.error().code == kUnknownMethod) return Updated{before, false};
  }
  if (answer) {
    auto now = replace_supervisor(s, before.supervisor);
    if (!now) return tl::unexpected<Error>(now.error());
    return Updated{*now, false};
  }
  if (!was_cut(answer.error())) return tl::unexpected<Error>(answer.error());
  auto now = await_successor(s, before.supervisor);
  if (!now) return tl::unexpected<Error>(now.error());
  if (now->upgrades <= before.upgrades) return fail("the keeper did not take " + program);
  return Updated{*now, true};
}

// 0 unless the versions are not those that were asked for.
int tell(Session& s, const Updated& updated) {
  const Running& now = updated.now;
  if (s.args.words.empty() && now.version != TEND_VERSION) {
    s.complain("update: the supervisor is version " + printable(now.version) +
               ", this program " TEND_VERSION ": the keeper runs " +
               printable(path_of_program(static_cast<pid_t>(now.keeper))) +
               "; install the new version there, or tend kill and tend resurrect");
    return s.exit_of(kFailed);
  }
  if (!s.pm2) {
    s.say("keeper " + std::to_string(now.keeper) + ", supervisor " + std::to_string(now.supervisor) +
          ", version " + printable(now.version) + "; no app was touched\n");
  }
  if (!updated.keeper) {
    s.complain(
        "warning: the keeper is of a version that cannot be replaced while it runs; it goes on as it was "
        "started until the next tend kill or boot");
  }
  return kDone;
}

}  // namespace

int update_command(Session& s) {
  const auto ping = ask_ping(s);
  if (!ping && Session::no_daemon(ping.error())) {
    s.say("no daemon runs in " + printable(s.home.dir) + "; the next one is version " TEND_VERSION "\n");
    return kDone;
  }
  // One that says no to everything does so because it is of the wrong version.
  if (!ping && ping.error().code >= 0) return s.fail(ping.error());
  if (s.pm2)
    s.say(
        "Be sure to have the latest version by doing `npm install pm2@latest -g` before doing this "
        "procedure.\n");
  const auto updated = update_daemon(s, ping ? running_of(*ping) : Running{}, wanted_program(s));
  if (!updated) {
    s.complain("update: " + printable(updated.error().message) + "; the daemon and its apps go on");
    return s.exit_of(kFailed);
  }
  if (const int status = tell(s, *updated); status != kDone || !s.pm2) return status;
  s.say(">>>>>>>>>> PM2 updated\n");
  s.flush();
  Session fresh(s.args, s.caller, s.pm2);  // this one's connection was to the supervisor that is gone
  return show_list(fresh);
}

}  // namespace tend::cli
