// The facade of this room: files and flags become resolved AppSpecs. Runs in the command line, never in the daemon.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/model/app_spec.h"
#include "core/model/home.h"
#include "core/model/value.h"

namespace tend::config {

struct Context {
  std::string cwd;                // the caller's
  std::string user_home;          // for ~
  Env environment;                // the caller's
  Home home;                      // log and pid defaults
  int cpus = 1;
  std::string serve_program;      // tend-serve, absolute; empty: not known
  bool pm2 = false;               // PM2's types, unknown fields silent (settled 27)
  std::string env_name;           // --env; empty: none
  std::vector<std::string> only;  // --only; empty: all
  bool no_log_files = false;      // out and error go to /dev/null where nothing is said
  const std::string* variable(std::string_view name) const;
};

struct Problem {
  bool fatal = false;    // a warning otherwise
  std::string message;   // one line: file, line or app, field, found, accepted
  std::string pm2_text;  // the same in PM2's words, without its prefix; "" when PM2 says nothing
};

struct Loaded {
  std::vector<AppSpec> apps;      // resolved; under tend empty when any problem is fatal
  std::vector<Problem> problems;
  StringList named;               // the apps of a file that were asked for, also those that cannot run
  bool failed = false;            // the command must exit 1 (under pm2 the good apps may still start: missing script)
};

// Whether a word on the command line means a file of apps (compat.md 1.2, matched at the end of the name;
// under pm2 by substring), and "-" stdin.
bool is_config_file(std::string_view word, bool pm2);

// Reads an ecosystem file: .json (comments, bare keys, single quotes, trailing commas), .yml/.yaml, .js/.cjs/.mjs (through
// node in a child, 10 s deadline, 16 MiB of output). Shapes: {apps: […]}, {apps: {…}}, {pm2: …}, a list, one app; package.json.
// "-" reads stdin. Every app is resolved (below). Of the command line's `flags` PM2 merges these into a file's apps:
// uid, gid and cwd always; namespace, watch and ignore_watch where the app has none. Others are ignored, with a warning
// under tend.
Loaded load_file(const std::string& path, const Context& context, const AppSpec& flags = {});
// What AppSpec::source is for the apps of that file; "" for stdin.
std::string source_of(const std::string& path, const Context& context);
// The bare document, for `check` and tests; the error is fatal.
Result<Value> parse_file(const std::string& path, const Context& context);
// The names in a file, for stop/restart/delete FILE: no resolution, no check of scripts.
Result<std::vector<std::string>> names_in(const std::string& path, const Context& context);

// `start WORD`: a script, a program in PATH, or a shell line with blanks. `flags` holds what the command line set
// (AppSpec::given), `args` what followed "--".
Loaded from_script(const std::string& word, const AppSpec& flags, const Context& context);

// The script that means the built-in server of files; its settings are PM2_SERVE_… and TEND_SERVE_… in env.
inline constexpr std::string_view kStaticServer = "tend:serve";

// From what was written to what is run (compat.md 3.4 to 3.8): name, absolute script and cwd, interpreter by extension or
// content, exec_mode, instances, log and pid paths, merge_logs, date format from `time`. Error: script not found,
// interpreter not available, and the like.
tl::expected<void, Problem> resolve(AppSpec& spec, const Context& context);

// Of a resolved app that was changed: relative paths of its files count from its cwd.
void place_changed_paths(AppSpec& spec);

// The first executable regular file of that name in a PATH; "" when there is none. Relative entries count
// from `cwd`.
std::string find_program(std::string_view name, std::string_view path, std::string_view cwd);

// The instance's own file names: `.log` becomes `-<id>.log` unless merge_logs; pid files always get -<id>.
std::string instance_log_path(const AppSpec& spec, const std::string& path, uint32_t id);
std::string instance_pid_path(const AppSpec& spec, uint32_t id);

// Reads a dotenv file: KEY=VALUE, quotes, export, # comments. Error: file and line.
Result<Env> read_dotenv(const std::string& path);
// "a 'b c' d" as PM2 splits (ecosystem-usage.md 4, row 21).
StringList split_words(std::string_view text);

}  // namespace tend::config
