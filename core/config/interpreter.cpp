// What runs a script: compat.md 3.5.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "core/base/text.h"
#include "core/base/unique_fd.h"
#include "core/config/files.h"
#include "core/config/node_child.h"
#include "core/config/parts.h"
#include "core/model/env.h"
#include "core/model/options.h"
#include "core/model/words.h"

namespace tend::config {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kByExtension = {{{".sh", "bash"},
                                                                                        {".rb", "ruby"},
                                                                                        {".php", "php"},
                                                                                        {".pl", "perl"},
                                                                                        {".js", "node"},
                                                                                        {".coffee", "coffee"},
                                                                                        {".ls", "lsc"},
                                                                                        {".tsx", "bun"},
                                                                                        {".py", "python"}}};

using Choice = tl::expected<std::string, Problem>;

tl::unexpected<Problem> missing(const std::string& name) {
  const std::string shown = printable(name);
  return tl::unexpected<Problem>(Problem{
      true, "interpreter: found \"" + shown + "\", which is not in PATH; accepted: a program, or none",
      "Error: Interpreter " + shown + " is NOT AVAILABLE in PATH. (type 'which " + shown +
          "' to double check.)"});
}

std::string head(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::array<char, 4096> buffer;
  const ssize_t n = fd ? ::read(fd.get(), buffer.data(), buffer.size()) : 0;
  return n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : std::string();
}

// The program that a #! line names: the first word that is neither env, its options nor a variable.
std::string shebang(std::string_view text) {
  if (!text.starts_with("#!")) return {};
  const StringList words = split_words(text.substr(2, text.find('\n') - 2));
  if (words.empty() || base_name(words[0]) != "env") return words.empty() ? "" : words[0];
  const auto program = std::find_if(words.begin() + 1, words.end(), [](const std::string& w) {
    return !w.starts_with('-') && w.find('=') == std::string::npos;
  });
  return program == words.end() ? "" : *program;
}

Choice typescript(AppSpec& spec, const Context& context) {
  if (!find_program("bun", app_path(spec, context), spec.cwd).empty()) return "bun";
  int major = 0, minor = 0;
  if (const auto version = run_node("require('fs').writeSync(3, process.versions.node)", {}, context)) {
    const auto* end = version->data() + version->size();
    const auto dot = std::from_chars(version->data(), end, major).ptr;
    if (dot != end) std::from_chars(dot + 1, end, minor);
  }
  const bool native = major > 23 || (major == 23 && minor >= 6) || (major == 22 && minor >= 18);
  if (!native && !(major == 23 || (major == 22 && minor >= 6))) {
    return tl::unexpected<Problem>(
        Problem{true, "script: TypeScript needs bun, Node.js 22.18 or later, or an interpreter",
                "Error: TypeScript apps require bun, Node.js >= 22.18 (native type stripping) or a custom "
                "interpreter "
                "(e.g. --interpreter ts-node)"});
  }
  if (!native) {
    spec.node_args.insert(spec.node_args.begin(), "--experimental-strip-types");
    mark_resolved(spec, "node_args");
  }
  return "node";
}

// PM2 runs every text by node; tend obeys the #! line where there is one.
Choice by_content(const AppSpec& spec, const Context& context) {
  const std::string text = head(spec.script);
  if (!is_directory(spec.script)) {
    if (text.find('\0') != std::string::npos) return "none";
    const std::string program = shebang(text);
    if (!context.pm2 && !program.empty() && base_name(program) != "node") {
      return ::access(spec.script.c_str(), X_OK) == 0 ? "none" : std::string(base_name(program));
    }
  }
  std::string node = find_program("node", app_path(spec, context), spec.cwd);
  if (node.empty()) return missing("node");
  return node;
}

}  // namespace

std::string app_path(const AppSpec& spec, const Context& context) {
  const std::string* path = find_variable(spec.env, "PATH");
  return path != nullptr ? *path : search_path(context);
}

Choice choose_interpreter(AppSpec& spec, const Context& context) {
  std::string name = spec.interpreter;
  const std::string path = app_path(spec, context);
  if (name.empty()) {
    const std::string_view ending = extension(spec.script);
    const auto known = std::find_if(kByExtension.begin(), kByExtension.end(),
                                    [ending](const auto& e) { return e.first == ending; });
    if (is_directory(spec.script) || (ending != ".ts" && known == kByExtension.end())) {
      auto choice = by_content(spec, context);
      if (!choice) return choice;
      name = *choice;
    } else if (ending == ".ts") {
      auto choice = typescript(spec, context);
      if (!choice) return choice;
      name = *choice;
    } else {
      name = known->second;
      if (name == "python" && find_program(name, path, spec.cwd).empty()) name = "python3";
    }
  }
  if (name == "none") return name;
  if (name.find('/') == std::string::npos)
    return find_program(name, path, spec.cwd).empty() ? missing(name) : Choice(name);
  if (name.starts_with("~/")) name = absolute_path(name, spec.cwd, context.user_home);
  const std::string file = absolute_path(name, spec.cwd, context.user_home);
  if (is_directory(file) || ::access(file.c_str(), X_OK) != 0) return missing(name);
  return name;
}

}  // namespace tend::config
