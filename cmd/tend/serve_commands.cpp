// serve: files over HTTP, by an app that tend-serve runs.
#include <sys/stat.h>

#include "cmd/pm2/personality.h"
#include "cmd/tend/command.h"
#include "cmd/tend/outcomes.h"
#include "cmd/tend/start_command.h"
#include "core/base/text.h"
#include "core/model/env.h"
#include "core/model/options.h"

namespace tend::cli {
namespace {

struct Setting {
  std::string_view flag;
  std::string_view variable;
};
constexpr Setting kSwitches[] = {{"spa", "PM2_SERVE_SPA"},
                                 {"ftp", "PM2_SERVE_FTP"},
                                 {"cors", "TEND_SERVE_CORS"},
                                 {"access-log", "TEND_SERVE_ACCESS_LOG"}};
constexpr Setting kWords[] = {{"host", "PM2_SERVE_HOST"},
                              {"homepage", "PM2_SERVE_HOMEPAGE"},
                              {"basic-auth-username", "PM2_SERVE_BASIC_AUTH_USERNAME"},
                              {"basic-auth-password", "PM2_SERVE_BASIC_AUTH_PASSWORD"},
                              {"cache-control", "TEND_SERVE_CACHE_CONTROL"}};

// The operand, the flag, under pm2 the caller's variable before either.
std::string chosen(const Session& s, std::size_t operand, std::string_view flag, const char* variable,
                   std::string_view fallback) {
  const char* const over = s.caller.variable(variable);
  if (s.pm2 && over != nullptr && *over != '\0') return over;
  if (!flag.empty() && s.args.has(flag)) return s.args.value(flag);
  return s.args.words.size() > operand ? s.args.words[operand] : std::string(fallback);
}

bool is_folder(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

// The server's settings as the app's environment.
AppSpec spec_of(const Session& s, const std::string& path, const std::string& port) {
  AppSpec spec = s.args.flags;
  const auto set = [&](std::string_view name, std::string value) {
    set_variable(spec.env, std::string(name), std::move(value));
  };
  set("PM2_SERVE_PORT", port);
  set("PM2_SERVE_PATH", path);
  for (const Setting& one : kSwitches)
    if (s.args.has(one.flag)) set(one.variable, "true");
  for (const Setting& one : kWords)
    if (s.args.has(one.flag)) set(one.variable, s.args.value(one.flag));
  if (s.args.has("basic-auth-username") || s.args.has("basic-auth-password"))
    set("PM2_SERVE_BASIC_AUTH", "true");
  if (s.args.has("monitor")) set("PM2_SERVE_MONITOR", s.args.value("monitor"));
  spec.given.set(index_of(*find_option("env")));
  if (spec.name.empty()) {
    spec.name = "static-page-server-" + port;
    spec.given.set(index_of(*find_option("name")));
  }
  return spec;
}

int serve(Session& s) {
  if (s.args.words.size() > 2) {
    s.complain("serve: found " + std::to_string(s.args.words.size()) + " operands; accepted: [path] [port]");
    return s.exit_of(kUsage);
  }
  // `serve 3000`: a number that is no folder is the port.
  const bool port_alone = !s.pm2 && s.args.words.size() == 1 && is_digits(s.args.words[0]) &&
                          !is_folder(s.caller.cwd + "/" + s.args.words[0]);
  const std::string port = chosen(s, port_alone ? 0 : 1, "port", "PM2_SERVE_PORT", "8080");
  const std::string path = chosen(s, port_alone ? 1 : 0, "", "PM2_SERVE_PATH", ".");
  const config::Loaded loaded =
      config::from_script(std::string(config::kStaticServer), spec_of(s, path, port), s.context());
  if (!start_loaded(s, loaded)) {
    // PM2 knows one reason; others it meets in the server.
    if (s.pm2 && !loaded.failed) s.complain("Error while trying to serve : Script already launched");
    return kFailed;
  }
  const std::string* folder =
      loaded.apps.empty() ? nullptr : find_variable(loaded.apps[0].env, "PM2_SERVE_PATH");
  if (folder != nullptr) {
    if (s.pm2)
      s.say(pm2::plain("Serving " + printable(*folder) + " on port " + port, s.colour()));
    else
      s.say("serving " + printable(*folder) + " on port " + port + "\n");
  }
  show_list(s);
  return kDone;
}

constexpr CommandFlag kFlags[] = {
    {"--port", "<n>", "serve: the port (8080)."},
    {"--host", "<address>", "serve: the address to listen on (0.0.0.0)."},
    {"--spa", "", "serve: unknown paths give the homepage."},
    {"--ftp", "", "serve: list folders."},
    {"--homepage", "<file>", "serve: what / gives (/index.html)."},
    {"--basic-auth-username", "<name>", "serve: ask for this name …"},
    {"--basic-auth-password", "<password>", "serve: … and this password."},
    {"--cors", "", "serve: pages of every origin may read."},
    {"--cache-control", "<text>", "serve: for files that are no pages and have no hash in their names."},
    {"--access-log", "", "serve: a line for each request."},
    {"--monitor", "[app]", "serve: accepted."},
};

constexpr Command kCommands[] = {
    {"serve", "expose", "Files", "[path] [port]", "Serve a folder over HTTP.", serve, 0, kFlags},
};

}  // namespace

std::span<const Command> serve_commands() { return kCommands; }

}  // namespace tend::cli
