// Procfiles as foreman reads them: one app per line, "name: shell line". The app runs in the file's folder
// with the variables of a .env there, and with a PORT of its own: 5000 (or PORT of .env or of the caller),
// one hundred more for each line, one more for each instance.
#include <algorithm>
#include <charconv>

#include "core/base/text.h"
#include "core/config/document.h"
#include "core/config/files.h"
#include "core/model/env.h"

namespace tend::config {
namespace {

constexpr int64_t kFirstPort = 5000;
constexpr int64_t kPortsPerApp = 100;

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

int64_t port_of(const Env& variables, const Context& context) {
  const std::string* text = find_variable(variables, "PORT");
  if (text == nullptr) text = context.variable("PORT");
  int64_t port = 0;
  if (text != nullptr) std::from_chars(text->data(), text->data() + text->size(), port);
  return port > 0 && port < 65536 ? port : kFirstPort;
}

}  // namespace

bool is_procfile(std::string_view word) {
  const std::string_view name = base_name(word);
  return name == "Procfile" || name.starts_with("Procfile.") || name.ends_with(".procfile");
}

Result<Document> parse_procfile(std::string_view text, const std::string& path, std::string_view name,
                                const Context& context) {
  const std::string folder = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
  const std::string dotenv = folder + "/.env";
  Env variables;
  if (exists(dotenv)) {
    auto read = read_dotenv(dotenv);
    if (!read) return tl::unexpected(read.error());
    variables = std::move(*read);
  }
  int64_t port = port_of(variables, context);
  Document document;
  List apps;
  int number = 0;
  for (const std::string& raw : split(text, '\n')) {
    ++number;
    const std::string_view line = trim(raw);
    if (line.empty() || line.front() == '#') continue;
    const auto colon = line.find(':');
    const std::string_view command = colon == std::string_view::npos ? "" : trim(line.substr(colon + 1));
    if (!is_name(line.substr(0, std::min(colon, line.size()))) || command.empty()) {
      return fail(std::string(name) + ':' + std::to_string(number) + ": found \"" +
                  printable(line.substr(0, 80)) + "\"; accepted: name: command");
    }
    // A word alone is a line for the shell too: "$SERVER". A blank makes it one.
    const bool one_word = command.find_first_of(" \t") == std::string_view::npos;
    const bool shells = command.find_first_of("$;&|<>()*?`\"'") != std::string_view::npos;
    Map app{{"name", line.substr(0, colon)},
            {"script", (one_word && shells ? " " : "") + std::string(command)},
            {"cwd", folder},
            {"exec_mode", "fork"},
            {"increment_var", "PORT"},
            {"env", Map{{"PORT", port}}}};
    if (exists(dotenv)) app.set("env_file", dotenv);
    document.lines["/apps/" + std::to_string(apps.size())] = number;
    apps.emplace_back(std::move(app));
    port += kPortsPerApp;
  }
  if (apps.empty()) return fail(std::string(name) + ": found no line \"name: command\"");
  document.root = Map{{"apps", std::move(apps)}};
  return document;
}

}  // namespace tend::config
