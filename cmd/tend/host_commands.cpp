// About the machine and for people who ask for help: slist, report, examples.
#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <ctime>
#include <thread>

#include "cmd/pm2/personality.h"
#include "cmd/render/inspect.h"
#include "cmd/tend/command.h"
#include "cmd/tend/host_linux.h"
#include "cmd/tend/outcomes.h"
#include "core/base/tail.h"
#include "core/base/text.h"
#include "core/base/unique_fd.h"
#include "core/model/api.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

constexpr Millis kWindow{200};  // over which rates are measured
constexpr std::size_t kReportLines = 20;

int slist(Session& s) {
  Map metrics;
  for (const HostMetric& m : host_metrics(kWindow)) {
    const bool whole = m.value == static_cast<double>(static_cast<int64_t>(m.value));
    const Value value = whole ? Value(static_cast<int64_t>(m.value)) : Value(m.value);
    metrics.append(m.name, Map{{"value", value}, {"type", "metric"}, {"unit", m.unit}, {"historic", true}});
  }
  if (s.args.json) {
    s.print(ipc::to_json(metrics) + "\n");
  } else if (s.args.has("tree") || !s.pm2) {
    for (std::size_t i = 0; i < metrics.size(); ++i) {
      const auto& [name, m] = *(metrics.begin() + static_cast<std::ptrdiff_t>(i));
      const std::string branch = s.pm2 ? (i + 1 < metrics.size() ? "├─ " : "└─ ") : "";
      const Value& v = m.at("value");
      s.print(branch + printable(name) + ": " + ipc::to_json(v) + " " + m.at("unit").text() + "\n");
    }
  } else {
    s.print(render::inspect(metrics) + "\n");
  }
  return kDone;
}

std::string field(std::string_view key, const std::string& value) {
  std::string left(key);
  left.resize(std::max<std::size_t>(left.size(), 20), ' ');
  return left + " : " + value + "\n";
}

std::string rule(char c) { return std::string(79, c) + "\n"; }

int report(Session& s) {
  const std::string name = s.pm2 ? "PM2" : "tend";
  std::string out = "\n\n\n```\n--- " + name + " report " + std::string(65, '-') + "\n";
  char date[64] = "";
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  if (::localtime_r(&now, &local) != nullptr)
    std::strftime(date, sizeof date, "%a %b %d %Y %H:%M:%S %z", &local);
  out += field("Date", date) + rule('=') + "--- Daemon " + std::string(40, '-') + "\n";
  auto pong = s.ask(api::kPing, Map{}, Need::existing);
  if (pong) {
    out += field(s.pm2 ? "pm2d version" : "tend version", printable(pong->at("version").text()));
    out += field("supervisor", std::to_string(pong->at("supervisor").at("pid").integer()));
    out += field("keeper", std::to_string(pong->at("keeper").at("pid").integer()));
    out += field("home", printable(pong->at("home").text()));
  } else {
    out += field("daemon", "not running");
  }
  out += field("user", s.caller.user) + field("uid", std::to_string(::getuid())) +
         field("gid", std::to_string(::getgid()));
  out += rule('=') + "--- CLI " + std::string(43, '-') + "\n";
  out += field(s.pm2 ? "local pm2" : "tend",
               s.pm2 ? std::string(pm2::kVersion) + " (tend " TEND_VERSION ")" : TEND_VERSION);
  out += rule('=') + "--- System info " + std::string(35, '-') + "\n";
  utsname system{};
  (void)::uname(&system);
  out += field("arch", system.machine) + field("platform", "linux") +
         field("type", std::string(system.sysname) + " " + system.release) +
         field("cpus nb", std::to_string(std::thread::hardware_concurrency()));
  for (const HostMetric& m : host_metrics(Millis{10})) {
    if (m.name == "RAM Available") out += field("freemem", std::to_string(static_cast<int64_t>(m.value)));
    if (m.name == "RAM Total") out += field("totalmem", std::to_string(static_cast<int64_t>(m.value)));
  }
  out += field("home", printable(s.caller.user_home)) + rule('=');
  s.print(out + "--- " + name + " list " + std::string(40, '-') + "\n");
  if (pong) (void)show_list(s);
  s.print(rule('=') + "--- Daemon logs " + std::string(35, '-') + "\n");
  const UniqueFd log(::open(s.home.daemon_log().c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (const auto tail = log ? last_lines(log.get(), kReportLines) : Result<Tail>()) {
    for (const auto& line : split(tail->text, '\n'))
      if (!line.empty()) s.print(printable(line) + "\n");
  }
  s.print("```\n\n");
  return kDone;
}

int examples(Session& s) {
  const std::string p = s.pm2 ? "pm2" : "tend";
  if (s.pm2) s.print(pm2::plain("pm2 usage examples:", s.colour()));
  constexpr std::pair<std::string_view, std::string_view> kExamples[] = {
      {"Start and add a process to the list", "start app.js"},
      {"Show the list", "ls"},
      {"Stop and delete a process from the list", "delete app"},
      {"Stop, start and restart a process of the list", "stop app"},
      {"Run on all cores, an unmodified Node server", "start app.js -i max"},
      {"Update it without losing a request", "reload app"},
      {"Scale it to 8 processes", "scale app 8"},
      {"Restart when files change", "start app.js --watch"},
      {"Give arguments to the app", "start app.js -- --port 3000"},
      {"Start the apps of a file", "start ecosystem.config.js --env production"},
      {"Follow the logs of an app", "logs app"},
      {"Serve a folder", "serve ./public 8080"},
      {"Start at boot what runs now", "startup"},
      {"Remember what runs now", "save"},
  };
  for (const auto& [what, command] : kExamples)
    s.print("\n  - " + std::string(what) + ":\n\n    $ " + p + " " + std::string(command) + "\n");
  s.print("\n");
  return kDone;
}

constexpr CommandFlag kTree[] = {{"-t,--tree", "", "slist: one line for each figure."}};

constexpr Command kCommands[] = {
    {"slist", "sysinfos", "Looking", "", "What the machine is doing: CPU, memory, network, disks.", slist, 0,
     kTree},
    {"report", "", "Looking", "", "Daemon, machine, list and last words, to paste into a question.", report},
    {"examples", "", "Looking", "", "Commands to begin with.", examples},
};

}  // namespace

std::span<const Command> host_commands() { return kCommands; }

}  // namespace tend::cli
