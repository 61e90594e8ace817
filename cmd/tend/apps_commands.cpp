// stop, restart, reload, scale, delete, reset, sendSignal and the startOr… family.
#include <signal.h>

#include <cstring>
#include <optional>

#include "cmd/pm2/personality.h"
#include "cmd/tend/command.h"
#include "cmd/tend/outcomes.h"
#include "cmd/tend/start_command.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "core/model/options.h"

namespace tend::cli {
namespace {

Map act_params(const Session& s, std::string_view verb, List targets) {
  Map params{{"verb", verb},
             {"targets", std::move(targets)},
             {"cwd", s.caller.cwd},
             {"cause", s.caller.cause()},
             {"update_env", s.args.update_env},
             {"no_wait", s.args.no_wait}};
  if (verb == "reload") params.set("parallel", s.args.parallel);
  if (s.args.update_env) params.set("env", s.caller.env_value());
  if (s.args.flags.given.any()) params.set("changes", to_value(s.args.flags));
  // Of a restart it toggles (compat.md 2).
  if (verb == "restart" && s.args.flags.watch == Value(true)) params.set("toggle_watch", true);
  return params;
}

// stop and delete of a file: by the names in it; what does not run is skipped without a word.
bool act_on_file(Session& s, std::string_view verb, const std::string& path) {
  auto names = config::names_in(path, s.context());
  if (!names) {
    s.complain(names.error().message);
    return false;
  }
  List targets;
  for (const auto& name : *names) targets.emplace_back(name);
  if (targets.empty()) return true;
  const Millis extra = patience_for(s, targets);
  auto reply = s.ask(api::kAct, act_params(s, verb, targets), Need::existing, extra);
  if (!reply) {
    s.fail(reply.error());
    return false;
  }
  if (!s.pm2) return show_outcomes(s, *reply);
  bool good = true;
  for (const Value& o : reply->at("results").list()) {
    good = good && !pm2_failure(o);
    if (!pm2_failure(o)) s.say(pm2::ticked(o.at("name").text(), o.at("id").integer(), s.colour()));
  }
  return good;
}

bool restarts(std::string_view verb) { return verb == "restart" || verb == "reload"; }

int act(Session& s, std::string_view verb) {
  const bool any_file = std::any_of(s.args.words.begin(), s.args.words.end(),
                                    [&](const auto& w) { return config::is_config_file(w, s.pm2); });
  if (restarts(verb) && !s.args.env_name.empty() && !any_file) {
    s.complain(s.pm2 ? "Using --env [env] without passing the ecosystem.config.js does not work"
                     : "--env: needs a file of apps as operand");
    return s.exit_of(kUsage);
  }
  // A file may start what is missing, PM2 starts its daemon for anything; else nothing can run without a
  // daemon.
  const Status up = s.connect(s.pm2 || (any_file && restarts(verb)) ? Need::started : Need::existing);
  if (!up) return s.fail(up.error());
  if (s.pm2 && restarts(verb) && !s.args.update_env && !any_file)
    s.say("Use --update-env to update environment variables\n");
  bool good = true;
  List targets;
  for (const auto& word : s.args.words) {
    if (!config::is_config_file(word, s.pm2))
      targets.emplace_back(word);
    else if (restarts(verb))
      good = start_file(s, word, verb) && good;
    else
      good = act_on_file(s, verb, word) && good;
  }
  if (!targets.empty()) {
    const Millis extra = patience_for(s, targets, verb == "reload");
    auto reply = s.ask(api::kAct, act_params(s, verb, targets), Need::existing, extra);
    if (!reply) return s.fail(reply.error());
    good = show_groups(s, verb, *reply) && good;
  }
  if (good && !(s.pm2 && verb == "reload")) show_list(s);
  return s.status_of(good);
}

int stop(Session& s) { return act(s, "stop"); }
int restart(Session& s) { return act(s, "restart"); }
// One canary for each app that is named.
bool canaries(Session& s, std::string_view verb, const std::string& word) {
  Map params = act_params(s, verb, List{word});
  params.set("percent", s.args.canary);
  params.set("parallel", s.args.parallel);
  auto reply = s.ask(api::kCanary, std::move(params), Need::existing, patience_for(s, {word}, true));
  if (reply) return show_outcomes(s, *reply);
  s.fail(reply.error());
  return false;
}

int canary_command(Session& s, std::string_view verb) {
  bool good = true;
  for (const auto& word : s.args.words) {
    const bool file = verb == "begin" && config::is_config_file(word, s.pm2);
    good = (file ? start_file(s, word, "reload") : canaries(s, verb, word)) && good;
  }
  if (good) show_list(s);
  return s.status_of(good);
}

int reload(Session& s) { return s.args.canary > 0 ? canary_command(s, "begin") : act(s, "reload"); }
int promote(Session& s) { return canary_command(s, "promote"); }
int rollback(Session& s) { return canary_command(s, "rollback"); }
int remove(Session& s) { return act(s, "delete"); }

int reset(Session& s) {
  if (!s.pm2) return act(s, "reset");
  auto reply =
      s.ask(api::kAct, act_params(s, "reset", List(s.args.words.begin(), s.args.words.end())), Need::started);
  if (!reply) return s.fail(reply.error());
  bool good = true;
  for (const Value& group : reply->at("groups").list()) {
    if (!group.at("error").is_null() && s.args.words != std::vector<std::string>{"all"}) {
      good = false;
      s.complain_raw("Unknown process name\n");
    }
    for (const Value& id : group.at("ids").list())
      s.say(pm2::plain("Resetting meta for process id " + std::to_string(id.integer()), s.colour()));
  }
  if (good) show_list(s);
  return s.status_of(good);
}

struct Size {
  int64_t change = 0;
  bool relative = false;
};

// "4", "+2", "-1", "max".
std::optional<Size> size_of(std::string_view word, int64_t cpus) {
  if (word == "max") return Size{cpus, false};
  const bool relative = !word.empty() && (word.front() == '+' || word.front() == '-');
  const std::string_view digits = word.substr(relative ? 1 : 0);
  if (!is_digits(digits) || digits.size() > 6) return std::nullopt;
  const int64_t n = std::stoll(std::string(digits));
  return Size{word.front() == '-' ? -n : n, relative};
}

int scale(Session& s) {
  const std::string& app = s.args.words[0];
  const std::string& word = s.args.words[1];
  const auto size = size_of(word, s.context().cpus);
  if (!size || (s.pm2 && word.front() == '-')) {
    if (s.pm2)
      s.complain_raw("\n  error: unknown option `" + printable(word) + "'\n\n");
    else
      s.complain("scale: found " + printable(word) + "; accepted: 1.., +n, -n, max");
    return s.exit_of(kUsage);
  }
  if (s.pm2 && !size->relative && size->change == 0) {
    Arguments args = s.args;
    args.words.pop_back();
    Session removing(std::move(args), s.caller, s.pm2);
    return remove(removing);
  }
  const List targets{app};
  const Millis extra = patience_for(s, targets, true);
  auto reply = s.ask(api::kScale,
                     Map{{"targets", targets},
                         {"change", size->change},
                         {"relative", size->relative},
                         {"cwd", s.caller.cwd},
                         {"cause", s.caller.cause()},
                         {"no_wait", s.args.no_wait}},
                     s.pm2 ? Need::started : Need::existing, extra);
  if (!reply) {
    if (!s.pm2 || reply.error().code != -ESRCH) return s.fail(reply.error());
    s.complain("Application " + printable(app) + " not found");
    return kFailed;
  }
  const int64_t before = reply->at("before").integer(), now = reply->at("now").integer();
  bool good = true;
  if (s.pm2) {
    if (before == now) {
      s.complain("Nothing to do");
      return kFailed;
    }
    for (int64_t i = before; i < now; ++i) s.say(pm2::plain("Scaling up application", s.colour()));
  } else {
    if (before == now) s.say(printable(app) + " has " + std::to_string(now) + " already\n");
    good = show_outcomes(s, *reply);
  }
  if (good) show_list(s);
  return s.status_of(good);
}

// "SIGUSR2", "usr2" or "12"; 0: unknown.
int signal_number(std::string_view word) {
  if (is_digits(word)) {
    const int number = word.size() < 4 ? std::atoi(std::string(word).c_str()) : 0;
    return number < NSIG ? number : 0;
  }
  std::string name(word);
  for (char& c : name) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  if (name.substr(0, 3) == "SIG") name.erase(0, 3);
  for (int number = 1; number < 32; ++number) {
    const char* known = ::sigabbrev_np(number);
    if (known != nullptr && name == known) return number;
  }
  return 0;
}

int send_signal(Session& s) {
  const std::string& word = s.args.words[0];
  const int number = signal_number(word);
  if (number == 0) {
    if (s.pm2)
      s.complain_raw("Error when sending signal (signal unknown)\n");
    else
      s.complain("unknown signal " + printable(word) + "; accepted: a name such as SIGUSR2, or 1..31");
    return s.exit_of(kUsage);
  }
  const List targets(s.args.words.begin() + 1, s.args.words.end());
  auto reply =
      s.ask(api::kSignal,
            Map{{"signal", number}, {"targets", targets}, {"cwd", s.caller.cwd}, {"cause", s.caller.cause()}},
            s.pm2 ? Need::started : Need::existing);
  if (!reply) return s.fail(reply.error());
  if (!s.pm2) return show_groups(s, "signal", *reply) ? kDone : kFailed;
  bool good = true;
  for (const Value& group : reply->at("groups").list()) {
    const std::string& target = group.at("word").text();
    if (!group.at("error").is_null()) {
      good = false;
      s.complain_raw(is_digits(target) ? target + " id unknown\n" : std::string("Unknown process name\n"));
      continue;
    }
    const std::string what = (is_digits(target) ? "process id " : "process name ") + printable(target);
    s.say(pm2::plain("Sending signal to " + what, s.colour()));
    s.say("successfully sent signal " + printable(word) + " to " + what + "\n");
  }
  if (good) show_list(s);
  return s.status_of(good);
}

int start_or(Session& s, std::string_view verb) {
  bool good = true;
  for (const auto& word : s.args.words) good = start_file(s, word, verb) && good;
  if (good && s.connect(Need::existing)) show_list(s);
  return s.status_of(good);
}
int start_or_restart(Session& s) { return start_or(s, "restart"); }
int start_or_reload(Session& s) { return start_or(s, "reload"); }

constexpr CommandFlag kStartFlags[] = {
    {"-w,--write", "", "start: also write a file of apps, <name>-pm2.json, with what was given."}};

constexpr Command kCommands[] = {
    {"start", "", "Apps", "[script|file|app]…",
     "Start a script, the apps of a file, or an app that is known.", start_command, 0, kStartFlags},
    {"stop", "", "Apps", "<app|file>…", "Stop apps; they stay in the list.", stop, 1},
    {"restart", "", "Apps", "<app|file>…", "Stop and start apps, with changed options if any are given.",
     restart, 1},
    {"reload", "", "Apps", "<app|file>…", "Replace processes one after the other.", reload, 1},
    {"promote", "", "Apps", "<app>…", "Make all processes of an app as its canary is (reload --canary).",
     promote, 1},
    {"rollback", "", "Apps", "<app>…", "Take the canary of an app away.", rollback, 1},
    {"scale", "", "Apps", "<app> <n|+n|-n|max>",
     "Change how many processes an app has; those that go finish first.", scale, 2},
    {"delete", "del", "Apps", "<app|file>…", "Stop apps and forget them.", remove, 1},
    {"reset", "", "Apps", "<app>…", "Set the counters of restarts to 0.", reset, 1},
    {"sendSignal", "signal", "Apps", "<signal> <app>…", "Send a signal to the main process.", send_signal, 2},
    {"startOrRestart", "", "Apps", "<file>", "Restart the apps of a file, start those that are missing.",
     start_or_restart, 1},
    {"startOrReload", "startOrGracefulReload", "Apps", "<file>", "The same, by reload.", start_or_reload, 1},
};

}  // namespace

std::span<const Command> apps_commands() { return kCommands; }

}  // namespace tend::cli
