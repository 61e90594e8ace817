// drill: what an app's users would lose when things go wrong, tried on a copy.
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cmd/tend/command.h"
#include "cmd/tend/drill_trials.h"
#include "cmd/tend/http_load.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

UniqueFd blocked_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&set, number);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  return UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

// What the daemon would save of the one app that is meant.
Result<CopyOf> description_of(Session& s, const std::string& word) {
  auto reply = s.ask(api::kSave, Map{{"show", true}}, Need::existing);
  if (!reply) return tl::unexpected<Error>(reply.error());
  CopyOf out;
  out.name = word;
  out.port_variable = s.args.value("port-env", "PORT");
  for (const Value& item : reply->at("apps").list())
    if (item.at("app").at("spec").at("name").text() == word) out.items.push_back(item);
  if (out.items.empty())
    return fail("drill: no app is called " + printable(word) + "; accepted: the name of one app of the list");
  return out;
}

void show(Session& s, const TrialOutcome& f) {
  const std::string_view mark = !f.tried ? "skipped" : f.lost ? "LOSES" : "ok";
  std::string line = f.trial;
  line.resize(std::max<std::size_t>(line.size(), 11), ' ');
  s.say(line + " " + std::string(mark) + std::string(8 - mark.size(), ' ') + printable(f.words) + "\n");
  if (!f.advice.empty()) s.say("                     try " + f.advice + "\n");
  s.flush();
}

Value value_of(const TrialOutcome& f) {
  Map m{{"trial", f.trial}, {"tried", f.tried}, {"lost", f.lost}, {"words", f.words}};
  if (!f.advice.empty()) m.append("advice", f.advice);
  m.append("figures", f.figures);
  return m;
}

int drill(Session& s) {
  const std::string path = s.args.value("path", "/");
  if (path.empty() || path[0] != '/' || path.find_first_of(" \r\n") != std::string::npos) {
    s.complain("drill: --path: found " + printable(path) + "; accepted: a path that begins with /");
    return s.exit_of(kUsage);
  }
  auto what = description_of(s, s.args.words[0]);
  if (!what) return s.fail(what.error());
  const std::string name = what->name + "-drill";
  const UniqueFd signals = blocked_signals();
  bool stopped = false;
  const auto asked_to_stop = [&] {
    signalfd_siginfo info{};
    stopped = stopped || ::read(signals.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info);
    return stopped;
  };
  auto copy = DrillCopy::make(std::move(*what));
  if (!copy) return s.fail(copy.error());
  Drill d{*copy, name, path, free_port(), asked_to_stop};
  if (!s.args.json) {
    s.say("a copy of " + printable(s.args.words[0]) + " on port " + std::to_string(d.port) +
          "; the app itself is not touched\n");
    s.flush();
  }
  List findings;
  bool lost = false;
  const auto note = [&](const TrialOutcome& f) {
    if (!s.args.json) show(s, f);
    findings.push_back(value_of(f));
    lost = lost || f.lost;
  };
  auto started = try_start(d);
  if (!started) {
    if (stopped) return 130;
    s.complain("drill: " + started.error().message);
    return kFailed;
  }
  note(*started);
  for (const auto trial : {try_reload, try_stop, try_kill, try_taken_port, try_full_disk}) {
    if (asked_to_stop()) break;
    note(trial(d));
  }
  if (stopped) return 130;
  if (s.args.json)
    s.print(ipc::to_json(Map{{"app", s.args.words[0]}, {"lost", lost}, {"trials", std::move(findings)}}) +
            "\n");
  return lost ? kFailed : kDone;
}

constexpr CommandFlag kDrillFlags[] = {
    {"--port-env", "<name>", "drill: the variable from which the app takes its port (PORT)"},
    {"--path", "<path>", "drill: what is asked for (/)"},
};

constexpr Command kCommands[] = {
    {"drill", "", "Looking", "<app>",
     "What users would lose: a copy of the app is reloaded, stopped and killed under load, and more.", drill,
     1, kDrillFlags},
};

}  // namespace

std::span<const Command> drill_commands() { return kCommands; }

}  // namespace tend::cli
