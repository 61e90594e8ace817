// Commands of PM2 that mean nothing without its company, its modules or its Node daemon: each says so and
// fails.
#include <array>

#include "cmd/tend/command.h"

namespace tend::cli {
namespace {

constexpr std::string_view kCompany = "it talks to the service of PM2's company";
constexpr std::string_view kModules =
    "modules of PM2 run inside its daemon; rotation of logs (pm2-logrotate) is built in: see set";
constexpr std::string_view kTracing = "the daemon injects no tracing; an app loads its own OpenTelemetry";
constexpr std::string_view kProfile =
    "the daemon is no Node program; perf record -p <pid> profiles it, trigger an app's own";

struct Absent {
  std::string_view name;
  std::string_view why;
};
constexpr Absent kAbsent[] = {
    {"link", kCompany},
    {"unlink", kCompany},
    {"plus", kCompany},
    {"register", kCompany},
    {"login", kCompany},
    {"logout", kCompany},
    {"open", kCompany},
    {"module:update", kModules},
    {"module:generate", kModules},
    {"module:publish", kModules},
    {"publish", kModules},
    {"package", kModules},
    {"create", "it copies sample projects of PM2's; init writes a file of apps"},
    {"autoinstall", "PM2 7 does not ship its helper either"},
    {"install-otel", kTracing},
    {"uninstall-otel", kTracing},
    {"profile:cpu", kProfile},
    {"profile:mem", kProfile},
};

constexpr std::string_view kContainers =
    "it would build and run a container; tend-runtime runs inside of one";

struct AbsentFlag {
  CommandFlag flag;
  std::string_view why;
};
constexpr AbsentFlag kAbsentFlags[] = {
    {{"--container", "", ""}, kContainers},
    {{"--dist", "", ""}, kContainers},
    {{"--image-name", "[name]", ""}, kContainers},
    {{"--node-version", "[major]", ""}, kContainers},
    {{"--fresh", "", ""}, kContainers},
    {{"--dockerdaemon", "", ""}, kContainers},
    {{"--docker", "", ""}, kContainers},
    {{"--tarball", "", ""}, kModules},
    {{"--npm", "", ""}, kModules},
    {{"--v1", "", ""}, kModules},
    {{"--safe", "[ms]", ""}, kModules},
    {{"--info-node", "[url]", ""}, kCompany},
    {{"-d,--discrete", "", ""}, kCompany},
    {{"--install-all", "", ""}, kCompany},
};

constexpr auto kFlags = [] {
  std::array<CommandFlag, std::size(kAbsentFlags)> rows{};
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = kAbsentFlags[i].flag;
  return rows;
}();

int absent(Session& s) {
  std::string_view why;
  for (const Absent& a : kAbsent)
    if (a.name == s.args.command) why = a.why;
  s.complain(s.args.command + " is not part of tend: " + std::string(why));
  return kFailed;
}

// Without a group they are found but not listed in the help.
constexpr auto kCommands = [] {
  std::array<Command, std::size(kAbsent)> rows{};
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = {kAbsent[i].name, "", "", "", "", absent};
  rows[0].flags = kFlags;
  return rows;
}();

}  // namespace

std::span<const Command> absent_commands() { return kCommands; }

std::string absent_flag(const Arguments& args) {
  for (const AbsentFlag& f : kAbsentFlags)
    if (args.has(f.flag.names.substr(f.flag.names.find("--") + 2)))
      return std::string(f.flag.names) + " is not part of tend: " + std::string(f.why);
  return "";
}

}  // namespace tend::cli
