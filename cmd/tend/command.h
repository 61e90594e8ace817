// One command of the command line. A group's file gives its rows; commands.cpp strings them together.
#pragma once

#include <span>
#include <string_view>

#include "cmd/tend/session.h"

namespace tend::cli {

struct Command {
  std::string_view name;
  std::string_view aliases;  // space-separated
  std::string_view group;
  std::string_view operands;  // "<app>…"
  std::string_view help;      // one line
  int (*run)(Session& s);     // gives the exit status
  std::size_t least = 0;      // operands that must be there
};

std::span<const Command> apps_commands();
std::span<const Command> view_commands();
std::span<const Command> logs_commands();
std::span<const Command> persist_commands();
std::span<const Command> daemon_commands();
std::span<const Command> config_commands();
std::span<const Command> event_commands();

std::span<const std::span<const Command>> groups();
const Command* find_command(std::string_view word);  // by name or alias
std::string help_text(std::string_view program);
std::string command_help(std::string_view program, const Command& command);
// Looks the command up and runs it.
int run_command(Session& s);

}  // namespace tend::cli
