// One command of the command line. A group's file gives its rows; commands.cpp strings them together.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "cmd/tend/session.h"

namespace tend::cli {

// A flag of one command. Every command accepts every flag, as PM2's do; two commands that name the same flag
// share it. Its value is found by the last of its names, without dashes: args.has("prune"),
// args.value("port").
struct CommandFlag {
  std::string_view names;  // "-p,--port"
  std::string_view value;  // "<n>"; "[x]" may be left out; "" is a switch
  std::string_view help;   // "serve: …"; "": known, but not shown
};

struct Command {
  std::string_view name;
  std::string_view aliases;  // space-separated
  std::string_view group;     // "": known, but not shown
  std::string_view operands;  // "<app>…"
  std::string_view help;      // one line
  int (*run)(Session& s);     // gives the exit status
  std::size_t least = 0;      // operands that must be there
  std::span<const CommandFlag> flags = {};
};

std::span<const Command> apps_commands();
std::span<const Command> view_commands();
std::span<const Command> logs_commands();
std::span<const Command> persist_commands();
std::span<const Command> daemon_commands();
std::span<const Command> config_commands();
std::span<const Command> event_commands();
std::span<const Command> deploy_commands();
std::span<const Command> host_commands();
std::span<const Command> conf_commands();
std::span<const Command> rotation_commands();
std::span<const Command> completion_commands();
std::span<const Command> absent_commands();
// What a flag of PM2's that is absent here says, "" when none was given.
std::string absent_flag(const Arguments& args);
std::span<const Command> serve_commands();
std::span<const Command> boot_commands();
std::span<const Command> care_commands();
std::span<const Command> move_commands();
std::span<const Command> talk_commands();
std::span<const Command> apply_commands();
std::span<const Command> foreground_commands();
std::span<const Command> monit_commands();
std::span<const Command> drill_commands();

std::span<const std::span<const Command>> groups();
std::vector<CommandFlag> command_flags();            // of all commands, each name once
const Command* find_command(std::string_view word);  // by name or alias
std::string help_text(std::string_view program);
std::string command_help(std::string_view program, const Command& command);
// Looks the command up and runs it.
int run_command(Session& s);

}  // namespace tend::cli
