#include <algorithm>
#include <array>

#include "cmd/pm2/personality.h"
#include "cmd/render/width.h"
#include "cmd/tend/command.h"
#include "cmd/tend/foreground_commands.h"
#include "core/base/text.h"

namespace tend::cli {
namespace {

bool has_word(std::string_view words, std::string_view word) {
  for (const auto& w : split(words, ' '))
    if (w == word) return !word.empty();
  return false;
}

std::string nearest_command(std::string_view word) {
  std::vector<std::string_view> names;
  for (const auto group : groups())
    for (const Command& c : group)
      if (!c.group.empty()) names.push_back(c.name);
  return std::string(nearest(word, names));
}

int unknown(Session& s) {
  if (s.pm2) {
    s.complain("Command not found");
    s.complain_raw(
        "usage: pm2 [options] <command>\n\npm2 -h, --help             all available commands and options\n");
    return s.exit_of(kUsage);
  }
  const std::string near = nearest_command(s.args.command);
  s.complain("unknown command " + printable(s.args.command) +
             (near.empty() ? "" : "; did you mean " + near + "?"));
  return kUsage;
}

}  // namespace

std::span<const std::span<const Command>> groups() {
  static const auto kGroups = std::to_array<std::span<const Command>>({
      apps_commands(),
      view_commands(),
      logs_commands(),
      persist_commands(),
      daemon_commands(),
      config_commands(),
      event_commands(),
      deploy_commands(),
      serve_commands(),
      host_commands(),
      conf_commands(),
      rotation_commands(),
      completion_commands(),
      boot_commands(),
      care_commands(),
      move_commands(),
      talk_commands(),
      apply_commands(),
      foreground_commands(),
      monit_commands(),
      drill_commands(),
      absent_commands(),
  });
  return kGroups;
}

std::vector<CommandFlag> command_flags() {
  std::vector<CommandFlag> out;
  for (const auto group : groups())
    for (const Command& c : group)
      for (const CommandFlag& f : c.flags)
        if (std::none_of(out.begin(), out.end(), [&](const auto& o) { return o.names == f.names; }))
          out.push_back(f);
  return out;
}

const Command* find_command(std::string_view word) {
  for (const auto group : groups())
    for (const Command& c : group)
      if (c.name == word || has_word(c.aliases, word)) return &c;
  return nullptr;
}

std::string help_text(std::string_view program) {
  std::string out =
      "usage: " + std::string(program) + " <command> [operands] [options] [-- arguments of the app]\n";
  std::string_view group;
  for (const auto commands : groups()) {
    for (const Command& c : commands) {
      if (c.group.empty()) continue;  // known, but not part of tend
      if (c.group != group) out += "\n" + std::string(c.group) + "\n";
      group = c.group;
      std::string left = std::string(c.name) + (c.operands.empty() ? "" : " ") + std::string(c.operands);
      out += "  " + render::pad(left, 30) + " " + std::string(c.help) +
             (c.aliases.empty() ? "" : " [" + std::string(c.aliases) + "]") + "\n";
    }
  }
  for (const bool app : {true, false}) {
    out += app ? "\nOptions of an app (start, restart, reload)\n" : "\nOptions\n";
    for (const FlagRow& f : flag_rows())
      if (f.app == app)
        out += "  " + render::pad(f.names + (f.value.empty() ? "" : " ") + f.value, 44) + " " + f.help + "\n";
  }
  return out;
}

std::string command_help(std::string_view program, const Command& c) {
  std::string out = "usage: " + std::string(program) + " " + std::string(c.name) +
                    (c.operands.empty() ? "" : " ") + std::string(c.operands) + " [options]\n\n" +
                    std::string(c.help) +
                    (c.aliases.empty() ? "" : "\nOther names: " + std::string(c.aliases)) + "\n";
  for (const CommandFlag& f : c.flags) {
    const std::string left = std::string(f.names) + (f.value.empty() ? "" : " ") + std::string(f.value);
    out += "  " + render::pad(left, 44) + " " + std::string(f.help) + "\n";
  }
  return out;
}

int run_command(Session& s) {
  const std::string_view program = s.pm2 ? "pm2" : "tend";
  if (s.args.version) {
    s.print(s.pm2 ? std::string(pm2::kVersion) + "\n" : "tend " TEND_VERSION "\n");
    return kDone;
  }
  const Command* command = find_command(s.args.command);
  if (s.args.help) {
    s.print(command == nullptr ? help_text(program) : command_help(program, *command));
    return kDone;
  }
  if (s.args.command.empty()) {
    s.complain_raw("usage: " + std::string(program) + " [options] <command>\n\n" + std::string(program) +
                   " -h, --help shows all commands and options\n");
    return s.exit_of(kUsage);
  }
  if (command == nullptr) return unknown(s);
  if (const std::string absent = absent_flag(s.args); !absent.empty()) {
    s.complain(absent);
    return kFailed;
  }
  if (s.args.words.size() < command->least) {
    const std::string operands(command->operands);
    s.complain_raw(s.pm2 ? "\nerror: missing required argument `name|id'\n\n"
                         : "tend: " + std::string(command->name) +
                               ": missing operand; accepted: " + operands + "\n");
    return s.exit_of(kUsage);
  }
  if (s.args.has("no-daemon")) return no_daemon(s, *command);
  return s.args.has("attach") ? attach(s, *command) : command->run(s);
}

}  // namespace tend::cli
