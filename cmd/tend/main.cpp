// One executable, four roles: argv[0] tells which (settled 14).
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cmd/tend/command.h"
#include "core/autopsy/main.h"
#include "core/base/own_program.h"
#include "core/base/text.h"
#include "core/keeper/main.h"
#include "core/supervisor/main.h"

namespace {

constexpr std::string_view kState = "state:";

// home, name, the state's descriptor, the answer's
int check_main(char** argv) {
  if (!tend::is_digits(argv[2]) || !tend::is_digits(argv[3])) return 2;
  const tend::Home home{argv[0], std::string_view(argv[1]) == "pm2"};
  return tend::keeper::check_state(
      std::atoi(argv[2]), std::atoi(argv[3]),
      [&](const tend::keeper::Held& held) { return tend::supervisor::check_inheritance(home, held); });
}

int keeper_main(int argc, char** argv) {
  if (argc == 6 && std::string_view(argv[1]) == "--check-state") return check_main(argv + 2);
  if (argc < 4 || argc > 5) return 2;
  tend::keeper::Options options;
  options.home = {argv[1], std::string_view(argv[2]) == "pm2"};
  const std::string_view from = argv[3];
  const bool upgraded = from.starts_with(kState);
  options.succeeds = from == tend::keeper::kSucceeds;
  if (!options.succeeds && !tend::is_digits(upgraded ? from.substr(kState.size()) : from)) return 2;
  if (!options.succeeds)
    (upgraded ? options.state_fd : options.ready_fd) = std::atoi(argv[3] + (upgraded ? kState.size() : 0));
  if (argc == 5) options.console = tend::console_from(argv[4]);
  const std::string own = tend::own_program();
  char self[PATH_MAX] = "";
  // The path and not the link: after an upgrade a new supervisor is the new program.
  if (const ssize_t n = ::readlink("/proc/self/exe", self, sizeof self - 1); n > 0) self[n] = '\0';
  options.self = ::access(self, X_OK) == 0 ? self : own.c_str();
  return tend::keeper::run(options);
}

int supervisor_main(int argc, char** argv) {
  if (argc < 3) return 2;
  return tend::supervisor::run({argv[1], std::string_view(argv[2]) == "pm2"},
                               argc > 3 ? tend::console_from(argv[3]) : tend::Console::none);
}

// Names under which one command is called, as PM2 has them.
constexpr std::pair<std::string_view, std::string_view> kPrograms[] = {{"tend-runtime", "runtime"},
                                                                       {"pm2-runtime", "runtime"},
                                                                       {"pm2-docker", "runtime"},
                                                                       {"tend-dev", "dev"},
                                                                       {"pm2-dev", "dev"}};

int command_line(const std::vector<std::string>& argv) {
  const std::string name = argv[0].substr(argv[0].rfind('/') + 1);
  const bool pm2 = name.substr(0, 3) == "pm2";
  std::vector<std::string> words(argv.begin() + 1, argv.end());
  for (const auto& [program, command] : kPrograms)
    if (name == program) words.insert(words.begin(), std::string(command));
  auto parsed = tend::cli::parse(words, pm2);
  if (!parsed) {
    tend::cli::Session s({}, tend::cli::look_around(argv), pm2);
    if (pm2)
      s.complain_raw(parsed.error().pm2_text + "\n");
    else
      s.complain(parsed.error().message);
    return s.exit_of(tend::cli::kUsage);
  }
  tend::cli::Session s(std::move(*parsed), tend::cli::look_around(argv), pm2);
  return tend::cli::run_command(s);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view role = argc > 0 ? argv[0] : "tend";
  if (role == "tend: keeper") return keeper_main(argc, argv);
  if (role == "tend: supervisor") return supervisor_main(argc, argv);
  if (role == "tend: autopsy") return tend::autopsy::run(argc, argv);
  std::vector<std::string> words(argv, argv + argc);
  if (words.empty()) words.emplace_back("tend");
  return command_line(words);
}
