// runtime, dev, and --no-daemon: the apps belong to the command that started them.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "cmd/pm2/personality.h"
#include "cmd/tend/command.h"
#include "cmd/tend/foreground.h"
#include "cmd/tend/foreground_commands.h"
#include "cmd/tend/start_command.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "core/model/options.h"

namespace tend::cli {
namespace {

void give(Arguments& args, std::string_view key, const Value& value) {
  const OptionRow* row = find_option(key);
  if (row != nullptr && !args.flags.given.test(index_of(*row))) (void)assign(args.flags, *row, value);
}

// A bare number means seconds.
Millis delay_of(const Arguments& args) {
  const std::string text = args.value("delay", "0");
  return parse_millis(is_digits(text) ? text + "s" : text).value_or(Millis{});
}

// In the background, reaped with everything else.
void run_shell(const std::string& command, bool silent) {
  if (command.empty() || ::fork() != 0) return;
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = ::open("/dev/null", O_RDWR);
  for (int fd = 0; fd <= 2; ++fd)
    if (fd == 0 || silent) ::dup2(null, fd);
  ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
  ::_exit(127);
}

// `tend runtime start app.js` is `tend runtime app.js`, unless a file is called start.
void drop_start(Arguments& args) {
  if (args.words.size() > 1 && args.words[0] == "start") args.words.erase(args.words.begin());
}

int usage(Session& s, std::string_view program) {
  s.print("usage: " + std::string(program) +
          " [start] <script|file> [options] [-- arguments of the app]\n\n" +
          std::string(find_command(s.args.command)->help) + "\n");
  return kDone;
}

Console console_of(const Arguments& args) {
  if (args.json) return Console::json;
  if (args.has("format")) return Console::format;
  return args.has("formatted") ? Console::formatted : Console::raw;
}

// Flags that need a service nobody here speaks to, or a part that is not there.
void tell_ignored(Session& s) {
  for (const std::string_view flag : {"secret", "public", "machine-name", "web"})
    if (s.args.has(flag)) s.complain_raw("tend: --" + std::string(flag) + " is accepted and does nothing\n");
}

int runtime(Session& outer) {
  Arguments args = outer.args;
  drop_start(args);
  if (args.words.empty()) {
    usage(outer, outer.pm2 ? "pm2-runtime" : "tend-runtime");
    return outer.exit_of(kUsage);  // a container that runs nothing has failed
  }
  args.no_wait = true;  // signals and the end of the app are what to wait for
  Session s(std::move(args), outer.caller, outer.pm2);
  s.mute = true;
  s.no_log_files = true;
  tell_ignored(s);
  ForegroundForm form;
  form.console = console_of(s.args);
  form.auto_exit = s.args.has("no-auto-exit") ? AutoExit::never : s.pm2 ? AutoExit::pm2 : AutoExit::at_once;
  form.always_done = s.pm2;
  form.start = [&s] {
    const bool good = start_words(s);
    s.mute = false;
    return good;
  };
  form.delay = delay_of(s.args);
  return Foreground(s, std::move(form)).run();
}

// The development daemon has a home of its own.
Caller developer(const Session& s) {
  Caller caller = s.caller;
  const std::string name = s.pm2 ? "PM2_HOME" : "TEND_HOME";
  auto& env = caller.environment;
  const auto set = std::find_if(env.begin(), env.end(), [&](const auto& x) { return x.first == name; });
  // A home that was asked for is a place for it too, under another name (compat.md 12).
  std::string home = caller.user_home + (s.pm2 ? "/.pm2" : "/.tend");
  if (set != env.end() && !set->second.empty()) home = set->second;
  while (home.size() > 1 && home.back() == '/') home.pop_back();
  if (set != env.end()) env.erase(set);
  env.emplace_back(name, home + "-dev");
  return caller;
}

Arguments developing(const Session& s) {
  Arguments args = s.args;
  drop_start(args);
  give(args, "watch", true);
  List ignored{"node_modules"};
  for (const auto& word : split(args.value("ignore"), ','))
    if (!word.empty()) ignored.emplace_back(word);
  give(args, "ignore_watch", ignored);
  give(args, "restart_delay", 1000);
  args.no_wait = true;
  return args;
}

void header(Session& s) {
  std::vector<std::string> names;
  const auto line = [&](std::string_view key, const std::string& value) {
    std::string left(key);
    left.resize(21, ' ');
    s.say(left + ": " + value + "\n");
  };
  std::string title = "--- " + std::string(s.pm2 ? "PM2" : "tend") + " development mode ";
  title.resize(79, '-');
  s.say(title + "\n");
  const auto known = s.ask(api::kList, Map{{"detail", "table"}, {"cwd", s.caller.cwd}}, Need::existing);
  std::string apps;
  std::size_t processes = 0;
  if (known) {
    for (const Value& row : known->at("apps").list()) {
      const std::string name = printable(row.at("name").text());
      if (std::find(names.begin(), names.end(), name) != names.end()) continue;
      names.push_back(name);
      apps += (apps.empty() ? "" : ", ") + name;
    }
    processes = known->at("apps").list().size();
  }
  std::string ignored = "node_modules";
  for (const auto& word : split(s.args.value("ignore"), ','))
    if (!word.empty()) ignored += "," + printable(word);
  line("Apps started", apps);
  line("Processes started", std::to_string(processes));
  line("Watch and Restart", "Enabled");
  line("Ignored folder", ignored);
  s.say(std::string(79, '=') + "\n");
  s.flush();
}

void restarted(Session& s, const Value& event) {
  // Each process but the first one is a restart, whoever asked for it.
  if (event.at("event").text() != "online" || event.at("restarts").integer() == 0) return;
  s.say("[rundev] App " + printable(event.at("name").text()) + " restarted\n");
  s.flush();
  run_shell(s.args.value("post-exec"), s.args.has("silent-exec"));
}

int dev(Session& outer) {
  if (outer.args.words.empty() || (outer.args.words.size() == 1 && outer.args.words[0] == "start"))
    return usage(outer, outer.pm2 ? "pm2-dev" : "tend-dev");
  Session s(developing(outer), developer(outer), outer.pm2);
  ForegroundForm form;
  form.console = Console::quiet;
  form.tail = TailStyle{s.args.raw, true, s.args.timestamp};
  form.auto_exit = s.args.has("auto-exit") ? AutoExit::dev : AutoExit::never;
  form.always_done = true;
  form.start = [&s] {
    s.mute = true;
    const bool good = start_words(s);
    s.mute = false;
    if (good && !s.args.raw) header(s);
    if (good) run_shell(s.args.value("post-exec"), s.args.has("silent-exec"));
    return good;
  };
  form.on_event = [&s](const Value& event) { restarted(s, event); };
  form.on_signal = [&s] {
    s.say(s.pm2 ? ">>>>> [PM2 DEV] Stopping current development session\n"
                : "tend: the development session ends\n");
  };
  return Foreground(s, std::move(form)).run();
}

constexpr CommandFlag kRuntimeFlags[] = {
    {"--format", "", "runtime, logs: output as timestamp=… app=… id=… type=… message=…"},
    {"--formatted", "", "runtime: output as <id>|<name>  | text."},
    {"--no-auto-exit", "", "runtime: stay when no app runs."},
    {"--delay", "<time>", "runtime: wait before the start, seconds if no unit."},
    {"--web", "[port]", "runtime: accepted, does nothing."},
    {"--secret", "<key>", "runtime: accepted, does nothing."},
    {"--public", "<key>", "runtime: accepted, does nothing."},
    {"--machine-name", "<name>", "runtime: accepted, does nothing."},
    {"--no-daemon", "", "The apps end with this command; their output comes here."},
    {"--attach", "", "start, restart: go on with their logs."},
};

constexpr CommandFlag kDevFlags[] = {
    {"--ignore", "<paths>", "dev: do not watch these either, by commas."},
    {"--post-exec", "<command>", "dev: run this after each start."},
    {"--silent-exec", "", "dev: without the output of --post-exec."},
    {"--auto-exit", "", "dev: end when no app runs."},
    {"--test-mode", "", "dev: accepted, does nothing."},
};

constexpr Command kCommands[] = {
    {"runtime", "docker", "Foreground", "<script|file>…",
     "For containers: start, show the output, reap, end with the apps. Also as tend-runtime.", runtime, 0,
     kRuntimeFlags},
    {"dev", "", "Foreground", "<script|file>…",
     "For development: watch, restart, show the output, end with Ctrl-C. Also as tend-dev.", dev, 0,
     kDevFlags},
};

}  // namespace

int no_daemon(Session& s, const Command& command) {
  if (const Status up = s.connect(Need::existing); up) {
    s.complain_raw((s.pm2 ? "[PM2]" : "tend:") +
                   std::string(" --no-daemon: a daemon runs already and is used\n"));
    return command.run(s);
  }
  if (s.pm2)
    s.say("pm2 launched in no-daemon mode (you can add DEBUG=\"*\" env variable to get more messages)\n");
  ForegroundForm form;
  form.console = Console::quiet;
  form.tail = TailStyle{s.args.raw, false, "HH:mm:ss"};
  form.auto_exit = s.pm2 ? AutoExit::never : AutoExit::at_once;
  form.always_done = s.pm2;
  form.start = [&] { return command.run(s) == kDone; };
  return Foreground(s, std::move(form)).run();
}

int attach(Session& s, const Command& command) {
  LogTail tail(s, {s.args.raw, false, s.args.timestamp});
  const int status = command.run(s);
  if (status != kDone || s.touched.empty()) return status;
  const auto known = s.ask(api::kList, Map{{"detail", "full"}, {"targets", s.touched}, {"cwd", s.caller.cwd}},
                           Need::existing);
  if (!known) return s.fail(known.error());
  std::string ids;
  for (const Value& row : known->at("apps").list())
    ids += (ids.empty() ? "" : ", ") + std::to_string(row.at("id").integer());
  // PM2 speaks of 10 s after which it would end, and does not end.
  if (s.pm2)
    s.say(
        pm2::info("Log streaming apps id: " + ids + ", exit with Ctrl-C or will exit in 10secs", s.colour()));
  s.flush();
  tail.add(known->at("apps").list());
  for (;;)
    if (auto ok = tail.step(1000); !ok) return s.fail(ok.error());
}

std::span<const Command> foreground_commands() { return kCommands; }

}  // namespace tend::cli
