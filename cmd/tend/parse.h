// From words to arguments. CLI11 is in the .cpp only; app options derive from the option table.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/units.h"
#include "core/model/app_spec.h"

namespace tend::cli {

struct Arguments {
  std::string command;             // "" when none was given
  std::vector<std::string> words;  // the other words before a bare "--"
  std::vector<std::string> after;  // behind it: the app's arguments
  AppSpec flags;                   // AppSpec::given tells which were set; `after` is in its args
  std::string env_name;            // --env
  std::vector<std::string> only;
  std::string sort, highlight, log_format;
  std::string timestamp;  // "": none
  std::optional<Millis> timeout;
  int64_t lines = 15;
  int64_t last = 5;
  int64_t parallel = 2;
  int64_t canary = 0;  // percent; 0: not given
  // Flags of single commands (command.h), by their long name; a switch has one empty value.
  std::map<std::string, std::vector<std::string>, std::less<>> options;
  bool has(std::string_view name) const { return options.find(name) != options.end(); }
  std::string value(std::string_view name, std::string_view fallback = "") const;  // the last one given
  bool json = false, raw = false, err = false, out = false, nostream = false, mini = false;
  bool update_env = false, force = false, no_wait = false, show_secrets = false;
  bool silent = false, no_color = false, help = false, version = false;
};

struct ParseError {
  std::string message;   // for tend: what, found, accepted
  std::string pm2_text;  // PM2's words
};

// `argv` without the program's name.
tl::expected<Arguments, ParseError> parse(const std::vector<std::string>& argv, bool pm2);

// Every flag with its help, as "--name <value>" rows for help, man page and completion.
struct FlagRow {
  std::string names;  // "-n,--name"
  std::string value;  // "<text>", "" for a switch
  std::string help;
  bool app = false;  // from the option table
};
std::vector<FlagRow> flag_rows();

}  // namespace tend::cli
