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
  std::string_view help;   // "serve: …"
};

struct Command {
  std::string_view name;
  std::string_view aliases;  // space-separated
  std::string_view group;
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
std::span<const Command> foreground_commands();
std::span<const Command> monit_commands();

std::span<const std::span<const Command>> groups();
std::vector<CommandFlag> command_flags();            // of all commands, each name once
const Command* find_command(std::string_view word);  // by name or alias
std::string help_text(std::string_view program);
std::string command_help(std::string_view program, const Command& command);
// Looks the command up and runs it.
int run_command(Session& s);

}  // namespace tend::cli
