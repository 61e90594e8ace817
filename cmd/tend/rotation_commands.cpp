// reloadLogs, rotate, logrotate, and pm2-logrotate, which is built in.
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/pm2/personality.h"
#include "cmd/tend/boot_unit.h"
#include "cmd/tend/command.h"
#include "cmd/tend/conf_store.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/model/api.h"

namespace tend::cli {
namespace {

constexpr std::string_view kModule = "pm2-logrotate";
// What the module starts with (compat.md 11.5).
constexpr std::pair<std::string_view, std::string_view> kDefaults[] = {{"max_size", "10M"},
                                                                       {"retain", "30"},
                                                                       {"compress", "false"},
                                                                       {"rotateModule", "true"},
                                                                       {"workerInterval", "30"},
                                                                       {"dateFormat", "YYYY-MM-DD_HH-mm-ss"},
                                                                       {"rotateInterval", "0 0 * * *"}};

int reload_logs(Session& s) {
  if (s.pm2) s.say("Reloading all logs...\n");
  auto reply = s.ask(api::kLogs, Map{{"verb", "reopen"}}, Need::existing);
  if (!reply && !(s.pm2 && Session::no_daemon(reply.error()))) return s.fail(reply.error());
  s.say(s.pm2 ? "All logs reloaded\n" : "log files are opened anew\n");
  return kDone;
}

int rotate(Session& s) {
  auto reply = s.ask(api::kLogs, Map{{"verb", "rotate"}}, Need::existing);
  if (!reply) return s.fail(reply.error());
  s.say("log files are put aside\n");
  return kDone;
}

int logrotate(Session& s) {
  const std::string user = s.args.value("user", "root");
  if (user.find_first_of("/ \t\n{}") != std::string::npos || user.empty() || user[0] == '.') {
    s.complain("--user: found \"" + printable(user) + "\"; accepted: the name of a user");
    return s.exit_of(kUsage);
  }
  const std::string name = s.pm2 ? "pm2" : "tend";
  if (::geteuid() != 0) {
    const std::string program = own_program(s);
    s.complain_raw("You have to run this with elevated rights:\n\n   sudo env PATH=$PATH:" +
                   program.substr(0, program.rfind('/')) + " " + program + " logrotate -u " + s.caller.user +
                   "\n");
    return kFailed;
  }
  const std::string folder = "/etc/logrotate.d";
  struct stat st {};
  if (::stat(folder.c_str(), &st) != 0) {
    s.complain("no " + folder + ": logrotate is not installed");
    return kFailed;
  }
  const std::string home = s.home.dir;
  if (home.find_first_of(" \"\n{}*") != std::string::npos) {
    s.complain("home: found \"" + printable(home) + "\", which logrotate's files cannot hold");
    return kFailed;
  }
  const std::string text =
      s.home.daemon_log() + " " + s.home.logs() +
      "/*.log {\n        rotate 12\n        weekly\n        missingok\n        notifempty\n"
      "        compress\n        delaycompress\n        copytruncate\n        create 0640 " +
      user + " " + user + "\n}\n";
  const std::string path = folder + "/" + name + "-" + user;
  // logrotate itself refuses files that others may write.
  if (auto ok = replace_file(path, text, 0644); !ok) return s.fail(ok.error());
  s.say("Logrotate configuration added to " + path + "\n");
  return kDone;
}

int absent_module(Session& s, const std::string& module) {
  s.complain(s.args.command + " " + printable(module) +
             " is not part of tend: modules of PM2 run inside its daemon; pm2-logrotate is built in");
  return kFailed;
}

int install(Session& s) {
  const std::string& module = s.args.words[0];
  if (module != kModule) return absent_module(s, module);
  auto store = ConfStore::open(s.home);
  if (!store) return s.fail(store.error());
  const std::string name(kModule);
  for (const auto& [key, value] : kDefaults)  // what was set before is kept
    if (store->get({name, std::string(key)}).is_null())
      store->set({name, std::string(key)}, std::string(value));
  if (auto saved = save_settings(s, *store); !saved) return s.fail(saved.error());
  s.say("pm2-logrotate is built in: its settings are in force\n");
  return kDone;
}

int uninstall(Session& s) {
  const std::string& module = s.args.words[0];
  if (module != kModule) return absent_module(s, module);
  auto store = ConfStore::open(s.home);
  if (!store) return s.fail(store.error());
  store->unset({std::string(kModule)});
  if (auto saved = save_settings(s, *store); !saved) return s.fail(saved.error());
  s.say("the settings of pm2-logrotate are gone\n");
  return kDone;
}

constexpr CommandFlag kUser[] = {{"-u,--user", "<user>", "logrotate, startup: the user whose daemon it is."}};

constexpr Command kCommands[] = {
    {"rotate", "", "Logs", "", "Put all log files aside under dated names.", rotate},
    {"reloadLogs", "", "Logs", "", "Open all log files anew, after another program has renamed them.",
     reload_logs},
    {"logrotate", "", "Logs", "", "Have the system's logrotate look after the logs (root).", logrotate, 0,
     kUser},
    {"install", "module:install", "Settings", "pm2-logrotate",
     "Take that module's settings for putting logs aside.", install, 1},
    {"uninstall", "module:uninstall", "Settings", "pm2-logrotate", "Drop them.", uninstall, 1},
};

}  // namespace

std::span<const Command> rotation_commands() { return kCommands; }

}  // namespace tend::cli
