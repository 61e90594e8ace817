#include "core/config/static_server.h"

#include <unistd.h>

#include <algorithm>

#include "core/base/text.h"
#include "core/config/files.h"
#include "core/config/parts.h"
#include "core/model/env.h"
#include "core/model/options.h"

namespace tend::config {
namespace {

constexpr std::string_view kDefaultPort = "8080";
constexpr std::string_view kDefaultHost = "0.0.0.0";
// What PM2's own lists say; it goes with PM2.
constexpr std::string_view kServerOfPm2 = "/pm2/lib/API/Serve.js";
// The server finishes what it has by itself when it is told to end: it is told soon, and has time then.
constexpr Millis kDrain{500};
constexpr Millis kKill{10'000};
constexpr Millis kMargin{500};  // its own limit is below the one at which it is killed

struct Key {
  std::string_view key;       // in an entry of `static`
  std::string_view variable;  // behind PM2_SERVE_ or TEND_SERVE_
  bool pm2;                   // PM2 has it
};
constexpr Key kKeys[] = {{"port", "PORT", true},
                         {"host", "HOST", true},
                         {"path", "PATH", true},
                         {"spa", "SPA", true},
                         {"ftp", "FTP", true},
                         {"directory", "DIRECTORY", true},
                         {"homepage", "HOMEPAGE", true},
                         {"monitor", "MONITOR", true},
                         {"cors", "CORS", false},
                         {"cache_control", "CACHE_CONTROL", false},
                         {"access_log", "ACCESS_LOG", false},
                         {"threads", "THREADS", false}};

constexpr std::string_view kNames[] = {"PORT",
                                       "HOST",
                                       "PATH",
                                       "SPA",
                                       "FTP",
                                       "HOMEPAGE",
                                       "MONITOR",
                                       "CORS",
                                       "BASIC_AUTH",
                                       "BASIC_AUTH_USERNAME",
                                       "BASIC_AUTH_PASSWORD"};

std::string variable(const Key& key) {
  return (key.pm2 ? "PM2_SERVE_" : "TEND_SERVE_") + std::string(key.variable);
}

// Numbers and booleans as the environment has them.
Value as_text(const Value& value) {
  if (value.is<bool>()) return value.boolean() ? "true" : "false";
  if (value.is<int64_t>()) return std::to_string(value.integer());
  return value;
}

Map app_of(const Map& entry) {
  Map app, env;
  for (const auto& [name, value] : entry) {
    if (value.is_null()) continue;
    const auto* const key =
        std::find_if(std::begin(kKeys), std::end(kKeys), [&n = name](const Key& k) { return k.key == n; });
    if (key != std::end(kKeys)) {
      env.set(variable(*key), as_text(value));
    } else if (name == "basic_auth" && value.is<Map>()) {
      env.set("PM2_SERVE_BASIC_AUTH", "true");
      for (const auto& [from, to] : {std::pair("username", "PM2_SERVE_BASIC_AUTH_USERNAME"),
                                     {"password", "PM2_SERVE_BASIC_AUTH_PASSWORD"}})
        if (!value.at(from).is_null()) env.set(to, as_text(value.at(from)));
    } else if (name != "env") {
      app.set(name, value);
    }
  }
  if (const Value* more = entry.find("env"))
    for (const auto& [name, value] : more->map()) env.set(name, value);
  if (app.find("name") == nullptr) {
    const Value* port = env.find("PM2_SERVE_PORT");
    app.set("name", "static-page-server-" + (port != nullptr ? port->text() : std::string(kDefaultPort)));
  }
  app.set("script", kStaticServer);
  app.set("env", std::move(env));
  return app;
}

void put_behind(Map& root, List servers) {
  Value* apps = nullptr;
  for (auto& [key, value] : root)
    if (key == "apps") apps = &value;
  if (apps == nullptr) {
    root.set("apps", std::move(servers));
    return;
  }
  if (const auto* map = apps->as<Map>()) {
    const bool one = map->find("script") != nullptr || map->find("name") != nullptr;
    if (!one) {  // apps by name
      for (Value& server : servers) apps->as<Map>()->set(server.at("name").text(), server);
      return;
    }
    *apps = List{*apps};
  }
  if (auto* list = apps->as<List>()) list->insert(list->end(), servers.begin(), servers.end());
}

tl::unexpected<Problem> refuse(std::string message) {
  return tl::unexpected<Problem>(Problem{true, message, message});
}

class Settings {
 public:
  Settings(AppSpec& spec, const Context& context) : spec_(spec), context_(context) {}

  // The app's own before the caller's, tend's before PM2's.
  std::string get(const std::string& name, std::string_view fallback = "") const {
    for (const bool own : {true, false}) {
      for (const std::string prefix : {"TEND_SERVE_", "PM2_SERVE_"}) {
        const std::string* value = own                 ? find_variable(spec_.env, prefix + name)
                                   : spec_.inherit_env ? context_.variable(prefix + name)
                                                       : nullptr;
        if (value != nullptr && !value->empty()) return *value;
      }
    }
    return std::string(fallback);
  }

  void set(const std::string& name, std::string value) { set_variable(spec_.env, name, std::move(value)); }

 private:
  AppSpec& spec_;
  const Context& context_;
};

template <class T>
void set_default(AppSpec& spec, std::string_view key, T AppSpec::*slot, T value) {
  if (is_given(spec, key)) return;
  spec.*slot = std::move(value);
  mark_resolved(spec, key);
}

tl::expected<void, Problem> check_flags(const Settings& settings) {
  for (const char* const name : {"SPA", "FTP", "CORS", "ACCESS_LOG", "BASIC_AUTH"}) {
    const std::string word = settings.get(name, "false");
    if (word != "true" && word != "false" && word != "1" && word != "0")
      return refuse("SERVE_" + std::string(name) + ": found " + printable(word) + "; accepted: true, false");
  }
  const bool user = !settings.get("BASIC_AUTH_USERNAME").empty();
  const bool password = !settings.get("BASIC_AUTH_PASSWORD").empty();
  const std::string told = settings.get("BASIC_AUTH");
  const bool asked = told == "true" || told == "1";
  if (!told.empty() && !asked) return {};
  if (user != password || (asked && !user)) {
    return refuse(std::string("basic auth: found ") +
                  (user       ? "a name without a password"
                   : password ? "a password without a name"
                              : "neither name nor password") +
                  "; accepted: both, or neither");
  }
  return {};
}

}  // namespace

Result<void> add_static_apps(Document& document) {
  auto* root = document.root.as<Map>();
  const Value* section = root != nullptr ? root->find("static") : nullptr;
  if (section == nullptr || section->is_null()) return {};
  const List entries = section->is<Map>() ? List{*section} : section->list();
  List servers;
  for (const Value& entry : entries) {
    if (!entry.is<Map>())
      return fail("static: found " + std::string(entry.type_name()) + "; accepted: a list of objects");
    servers.emplace_back(app_of(entry.map()));
  }
  // A file that is one app, with servers beside it.
  if (root->find("apps") == nullptr && root->find("pm2") == nullptr && root->find("script") != nullptr) {
    Value app = document.root;
    app.as<Map>()->erase("static");
    servers.insert(servers.begin(), std::move(app));
    document.root = Map{{"apps", List{}}};
    root = document.root.as<Map>();
  }
  put_behind(*root, std::move(servers));
  return {};
}

void name_static_server(AppSpec& spec, const Context& context) {
  const bool pm2s = spec.script.ends_with(kServerOfPm2);
  if ((spec.script != "serve" && !pm2s) || !spec.args.empty()) return;
  const std::string cwd = absolute_path(spec.cwd, context.cwd, context.user_home);
  if (!pm2s && !context.pm2 && exists(absolute_path("serve", cwd, context.user_home))) return;
  if (spec.name.empty()) spec.name = "serve";
  spec.script = kStaticServer;
}

tl::expected<void, Problem> become_static_server(AppSpec& spec, const Context& context) {
  Settings settings(spec, context);
  const std::string port = settings.get("PORT", kDefaultPort);
  const int number = is_digits(port) && port.size() < 6 ? std::stoi(port) : 0;
  if (number < 1 || number > 65535) return refuse("port: found " + printable(port) + "; accepted: 1..65535");
  const std::string folder = absolute_path(settings.get("PATH", "."), spec.cwd, context.user_home);
  if (!is_directory(folder)) return refuse("path: found " + printable(folder) + ", which is no folder");
  if (auto sound = check_flags(settings); !sound) return sound;
  if (context.serve_program.empty() || ::access(context.serve_program.c_str(), X_OK) != 0) {
    return refuse("the server of files is not installed: no " +
                  (context.serve_program.empty() ? "tend-serve" : printable(context.serve_program)));
  }
  const std::string host = settings.get("HOST", kDefaultHost);
  const bool v6 = host.find(':') != std::string::npos && host.front() != '[';
  set_default(spec, "listen", &AppSpec::listen,
              StringList{"tcp://" + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(number)});
  set_default(spec, "wait_ready", &AppSpec::wait_ready, true);
  set_default(spec, "drain_timeout", &AppSpec::drain_timeout, kDrain);
  set_default(spec, "kill_timeout", &AppSpec::kill_timeout, kKill);
  settings.set("PM2_SERVE_PORT", port);
  settings.set("PM2_SERVE_HOST", host);
  settings.set("PM2_SERVE_PATH", folder);
  settings.set("TEND_SERVE_GRACE", std::to_string(std::max<int64_t>(0, spec.kill_timeout.n - kMargin.n)));
  if (context.pm2) {
    settings.set("TEND_SERVE_PM2", "true");
    if (settings.get("CORS").empty()) settings.set("TEND_SERVE_CORS", "true");
  }
  // The server reads tend's variables first: one of the caller's must not hide the app's own.
  for (const std::string_view name : kNames) {
    const std::string tends = "TEND_SERVE_" + std::string(name), pm2s = "PM2_SERVE_" + std::string(name);
    const bool final = name == "PORT" || name == "HOST" || name == "PATH";
    const std::string* own = find_variable(spec.env, pm2s);
    const bool hidden =
        find_variable(spec.env, tends) != nullptr ? final : context.variable(tends) != nullptr;
    if (own != nullptr && hidden) settings.set(tends, std::string(*own));
  }
  mark_resolved(spec, "env");
  spec.script = context.serve_program;
  spec.interpreter = "none";
  return {};
}

}  // namespace tend::config
