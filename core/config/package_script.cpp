#include "core/config/package_script.h"

#include <algorithm>
#include <array>
#include <optional>

#include "core/base/text.h"
#include "core/config/files.h"
#include "core/config/parts.h"
#include "core/model/env.h"

namespace tend::config {
namespace {

constexpr std::array<std::string_view, 3> kRunners = {"npm", "yarn", "pnpm"};
// What a shell would act upon. Quotes too: npm leaves them to the shell, whose rules are more than ours.
constexpr std::string_view kForTheShell = "|&;<>()$`\\\"'*?[]#~%!{}\n";
constexpr std::array<std::string_view, 8> kNodeFlagsWithValue = {
    "-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions", "--env-file"};

struct Call {
  std::string name;  // of the script
  StringList extra;  // arguments that go behind the entry's own
};

// `start a b`, `run dev -- --port 1`. Nothing: another command, or an option of the runner's own.
std::optional<Call> call_of(const AppSpec& spec) {
  if (std::find(kRunners.begin(), kRunners.end(), base_name(spec.script)) == kRunners.end())
    return std::nullopt;
  std::size_t at = 0;
  const StringList& args = spec.args;
  if (at < args.size() && (args[at] == "run" || args[at] == "run-script")) {
    ++at;
  } else if (at >= args.size() || args[at] != "start") {
    return std::nullopt;
  }
  if (at >= args.size() || args[at].empty() || args[at].front() == '-') return std::nullopt;
  Call call{args[at++], {}};
  bool behind = false;
  for (; at < args.size(); ++at) {
    if (!behind && args[at] == "--") {
      behind = true;
    } else if (!behind && args[at].starts_with('-')) {
      return std::nullopt;
    } else {
      call.extra.push_back(args[at]);
    }
  }
  return call;
}

bool is_assignment(const std::string& word) {
  const auto equals = word.find('=');
  return equals != std::string::npos && equals > 0 && word.find('/') > equals && word.front() != '-';
}

// As npm has it: the folder's own, then those of the folders above it.
std::string path_with_bins(const AppSpec& spec, const Context& context) {
  std::string path;
  for (std::string folder = spec.cwd;; folder = folder.substr(0, folder.rfind('/'))) {
    path += folder + "/node_modules/.bin:";
    if (folder.empty() || folder.rfind('/') == std::string::npos) break;
  }
  return path + app_path(spec, context);
}

// `node --flag file args`: the file is the script. False: there is no file.
bool take_node(AppSpec& spec, const StringList& words, std::size_t at) {
  StringList flags;
  for (++at; at < words.size() && words[at].starts_with('-'); ++at) {
    flags.push_back(words[at]);
    const bool valued = std::find(kNodeFlagsWithValue.begin(), kNodeFlagsWithValue.end(), words[at]) !=
                        kNodeFlagsWithValue.end();
    const bool inline_code =
        words[at] == "-e" || words[at] == "--eval" || words[at] == "-p" || words[at] == "--";
    if (inline_code) return false;
    if (valued && at + 1 < words.size()) flags.push_back(words[++at]);
  }
  if (at >= words.size()) return false;
  std::string file = absolute_path(words[at], spec.cwd, "");
  for (const std::string_view ending : {"", ".js", "/index.js"}) {  // node resolves `node dist/main` too
    const std::string candidate = file + std::string(ending);
    if (!exists(candidate) || is_directory(candidate)) continue;
    spec.script = candidate;
    spec.interpreter = "node";
    spec.node_args.insert(spec.node_args.end(), flags.begin(), flags.end());
    spec.args.assign(words.begin() + static_cast<std::ptrdiff_t>(at) + 1, words.end());
    return true;
  }
  return false;
}

}  // namespace

Unwrapped unwrap_package_script(AppSpec& spec, const Context& context, std::string& entry) {
  const auto call = call_of(spec);
  const std::string file = spec.cwd + "/package.json";
  if (!call || !exists(file)) return Unwrapped::no_runner;
  const auto package = parse_file(file, context);
  if (!package) return Unwrapped::no_runner;  // the runner will tell, with its own words
  const Value& scripts = package->at("scripts");
  entry = scripts.at(call->name).text();
  if (entry.empty()) return Unwrapped::no_runner;
  const bool hooked = !scripts.at("pre" + call->name).is_null() || !scripts.at("post" + call->name).is_null();
  if (hooked || entry.find_first_of(kForTheShell) != std::string::npos) return Unwrapped::too_much;

  AppSpec found = spec;
  StringList words = split_words(entry);
  words.insert(words.end(), call->extra.begin(), call->extra.end());
  std::size_t at = 0;
  for (; at < words.size() && is_assignment(words[at]); ++at) {
    const auto equals = words[at].find('=');
    set_variable(found.env, words[at].substr(0, equals), words[at].substr(equals + 1));
  }
  if (at >= words.size()) return Unwrapped::too_much;
  const std::string path = path_with_bins(found, context);
  if (words[at] == "node") {
    if (!take_node(found, words, at)) return Unwrapped::too_much;
  } else {
    found.script = find_program(words[at], path, found.cwd);
    if (found.script.empty()) return Unwrapped::too_much;
    found.interpreter.clear();
    found.args.assign(words.begin() + static_cast<std::ptrdiff_t>(at) + 1, words.end());
  }
  set_variable(found.env, "PATH", path);
  Env own = {{"npm_lifecycle_event", call->name},
             {"npm_lifecycle_script", entry},
             {"npm_package_json", file},
             {"INIT_CWD", spec.cwd}};
  for (const std::string_view key : {"name", "version"}) {
    if (const std::string& value = package->at(key).text(); !value.empty())
      own.emplace_back("npm_package_" + std::string(key), value);
  }
  for (auto& [name, value] : own) {
    if (find_variable(found.env, name) == nullptr) found.env.emplace_back(name, std::move(value));
  }
  spec = std::move(found);
  for (const std::string_view key : {"args", "node_args", "env"}) mark_resolved(spec, key);
  return Unwrapped::replaced;
}

}  // namespace tend::config
