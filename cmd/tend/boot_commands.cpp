// startup, unstartup: what brings the apps up at boot; and unit-run, the main process of a systemd unit.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>

#include "cmd/pm2/personality.h"
#include "cmd/render/inspect.h"
#include "cmd/tend/boot_files.h"
#include "cmd/tend/boot_unit.h"
#include "cmd/tend/command.h"
#include "cmd/tend/doctor.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/base/unique_fd.h"

namespace tend::cli {
namespace {

constexpr std::string_view kUsualPath = "/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";

std::string detected_init(const Session& s) {
  const char* path = s.caller.variable("PATH");
  for (const InitTool& t : init_tools())
    if (!found_in(path == nullptr ? kUsualPath : path, t.tool).empty()) return std::string(t.init);
  return {};
}

// PATH of the daemon: the caller's, each folder once, then where programs usually are.
std::string daemon_path(const Session& s) {
  const char* given = s.caller.variable("PATH");
  std::string out;
  std::vector<std::string> seen;
  for (const auto& dir :
       split(std::string(given == nullptr ? "" : given) + ":" + std::string(kUsualPath), ':')) {
    if (dir.empty() || dir[0] != '/' || std::find(seen.begin(), seen.end(), dir) != seen.end()) continue;
    seen.push_back(dir);
    out += (out.empty() ? "" : ":") + dir;
  }
  return out;
}

bool plain_name(std::string_view text) {
  return !text.empty() && text[0] != '-' && text[0] != '.' && text.size() < 200 &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                  c == '-' || c == '.' || c == '@' || c == ':';
         });
}

std::string invoking_user(const Session& s) {
  for (const char* name : {"USER", "LOGNAME"})
    if (const char* value = s.caller.variable(name); value != nullptr && plain_name(value)) return value;
  return s.caller.user;
}

// By /etc/passwd alone (settled 14); `otherwise` for who is not listed there.
std::string home_of_user(const std::string& user, const std::string& otherwise) {
  const auto text = read_file("/etc/passwd");
  for (const auto& line : text ? split(*text, '\n') : std::vector<std::string>{}) {
    const auto fields = split(line, ':');
    if (fields.size() >= 7 && fields[0] == user) return fields[5];
  }
  return otherwise;
}

std::string sudo_line(const Session& s, const BootPlan& plan, std::string_view verb) {
  const std::string node = found_in(plan.path, "node");
  const std::string variable = s.pm2 ? "PM2_HOME" : "TEND_HOME";
  std::string line = "sudo env PATH=$PATH";
  if (!node.empty()) line += ":" + node.substr(0, node.rfind('/'));
  if (!plan.default_home) line += " " + variable + "=" + plan.home.dir;
  line += " " + plan.program + " " + std::string(verb) + " " + plan.init + " -u " + plan.user + " --hp " +
          plan.user_home;
  if (s.args.has("service-name")) line += " --service-name " + plan.service;
  if (s.args.has("wait-ip")) line += " --wait-ip";
  return line;
}

// PM2's habit: a unit of the user's name, whatever the home. Only where that would take the place of another
// home's does the name tell the home (pains 35).
bool taken_by_another(const BootPlan& plan) {
  BootPlan plain = plan;
  plain.default_home = true;
  const auto file = boot_file(plain);
  if (!file) return false;
  const auto there = read_file(file->path);
  const std::string home = "PM2_HOME=" + plan.home.dir + "\n";  // as PM2 writes it
  return there && there->find("PM2_HOME=") != std::string::npos && there->find(home) == std::string::npos &&
         there->find(unit_word(home.substr(0, home.size() - 1), true)) == std::string::npos;
}

// Error: a word or a flag is wrong; one line.
Result<BootPlan> plan_of(Session& s, std::string_view verb, std::string& detected) {
  BootPlan plan;
  plan.name = s.pm2 ? "pm2" : "tend";
  plan.path = daemon_path(s);
  plan.user_manager = s.args.has("systemd-user");
  detected = plan.user_manager ? "systemd" : detected_init(s);
  const std::string word = s.args.words.empty() ? "" : s.args.words[0];
  plan.init = word.empty() ? detected : std::string(init_of(word));
  if (word.empty() && plan.init.empty())
    return fail(s.pm2 ? "Init system not found"
                      : std::string(verb) +
                            ": no known init system found; accepted: systemd, openrc, launchd, rcd, "
                            "rcd-openbsd, upstart, systemv");
  if (plan.init.empty())
    return fail(s.pm2 ? "Unknown platform / init system name"
                      : std::string(verb) + ": found " + printable(word) +
                            "; accepted: systemd, openrc, launchd, rcd, rcd-openbsd, upstart, systemv",
                EINVAL);
  if (plan.user_manager && plan.init != "systemd")
    return fail(std::string(verb) + ": --systemd-user: found " + plan.init + "; accepted: systemd", EINVAL);
  plan.user = s.args.value("user", invoking_user(s));
  if (!plain_name(plan.user))
    return fail(
        std::string(verb) + ": --user: found " + printable(plan.user) + "; accepted: the name of a user",
        EINVAL);
  plan.service = s.args.value("service-name");
  if (!plan.service.empty() && !plain_name(plan.service))
    return fail(std::string(verb) + ": --service-name: found " + printable(plan.service) +
                    "; accepted: letters, digits, - _ . @ :",
                EINVAL);
  const bool another = plan.user != invoking_user(s);
  plan.user_home =
      s.args.value("hp", another ? home_of_user(plan.user, s.caller.user_home) : s.caller.user_home);
  if (plan.user_home.empty() || plan.user_home[0] != '/')
    return fail(
        std::string(verb) + ": --hp: found \"" + printable(plan.user_home) + "\"; accepted: an absolute path",
        EINVAL);
  const std::string usual = plan.user_home + (s.pm2 ? "/.pm2" : "/.tend");
  const char* given = s.caller.variable(s.pm2 ? "PM2_HOME" : "TEND_HOME");
  const bool usual_one = (s.pm2 && s.args.has("hp")) || given == nullptr || *given == '\0';
  plan.home = {usual_one ? usual : s.home.dir, s.pm2};
  plan.default_home = plan.home.dir == usual;
  plan.program = own_program(s);
  if (plan.program.empty())
    return fail(std::string(verb) + ": where this program lies cannot be found: no /proc");
  for (const std::string* text : {&plan.home.dir, &plan.user_home, &plan.program, &plan.path})
    if (text->find('\n') != std::string::npos)
      return fail(std::string(verb) + ": a line break in " + printable(*text) +
                  " has no place in a boot file");
  plan.wait_ip = s.args.has("wait-ip");
  if (s.pm2 && !plan.default_home) plan.default_home = !taken_by_another(plan);
  return plan;
}

void mismatch(Session& s, const std::string& detected, const std::string& word) {
  const std::string line(59, '-');
  s.say(line + "\n PM2 detected " + detected + " but you precised " + printable(word) +
        "\n Please verify that your choice is indeed your init system\n If you arent sure, just run : pm2 "
        "startup\n" +
        line + "\n");
}

int begin(Session& s, std::string_view verb, BootPlan& plan) {
  std::string detected;
  auto made = plan_of(s, verb, detected);
  const bool quiet = s.args.has("print");
  if (s.pm2 && !quiet && !detected.empty()) s.say(pm2::plain("Init System found: " + detected, s.colour()));
  const bool differs = !s.args.words.empty() && !detected.empty() && init_of(s.args.words[0]) != detected;
  if (s.pm2 && !quiet && differs) mismatch(s, detected, s.args.words[0]);
  if (!made) {
    s.complain(made.error().message);
    return s.exit_of(made.error().code == EINVAL ? kUsage : kFailed);
  }
  if (!s.pm2 && !quiet && differs)
    s.complain("warning: this machine looks like " + detected + ", not " + made->init);
  plan = std::move(*made);
  if (quiet || plan.user_manager || ::geteuid() == 0) return kDone;
  const std::string what = verb == "startup" ? "setup" : "unsetup";
  s.say(s.pm2
            ? pm2::plain("To " + what + " the Startup Script, copy/paste the following command:", s.colour())
            : "this needs root; run:\n");
  s.print(sudo_line(s, plan, verb) + "\n");
  return kFailed;
}

Status write_file(const BootFile& file) {
  for (std::size_t at = file.path.find('/', 1); at != std::string::npos; at = file.path.find('/', at + 1)) {
    const std::string part = file.path.substr(0, at);
    if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno("create " + part);
  }
  return replace_file(file.path, file.text, file.mode, true);
}

int run_shell(Session& s, const std::string& command) {
  s.flush();
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int enable(Session& s, const BootFile& file) {
  for (const std::string& command : file.enable) {
    s.say(s.pm2 ? pm2::plain("[-] Executing: " + command + "...", s.colour()) : "run: " + command + "\n");
    const int status = run_shell(s, command);
    if (status == 0) {
      if (s.pm2) s.say(pm2::plain("[v] Command successfully executed.", s.colour()));
      continue;
    }
    if (s.pm2) {
      s.say("[ERROR] Exit code : " + std::to_string(status) + "\n");
      s.complain(command + " failed, see error above.");
    } else {
      s.complain(command + ": exit status " + std::to_string(status));
    }
    return kFailed;
  }
  return kDone;
}

int startup(Session& s) {
  BootPlan plan;
  if (const int status = begin(s, "startup", plan); status != kDone) return status;
  auto file = boot_file(plan);
  if (!file) {
    s.complain(file.error().message);
    return kFailed;
  }
  if (s.args.has("print")) {
    s.print(file->text);
    return kDone;
  }
  if (s.pm2) {
    List commands(file->enable.begin(), file->enable.end());
    s.say("Platform " + plan.init + "\nTemplate\n" + file->text + "\nTarget path\n" + file->path +
          "\nCommand list\n" + render::inspect(commands) + "\n");
    s.say(pm2::plain("Writing init configuration in " + file->path, s.colour()));
    s.say(pm2::plain("Making script booting at startup...", s.colour()));
  }
  if (auto written = write_file(*file); !written) {
    s.complain(written.error().message);
    return kFailed;
  }
  if (!s.pm2) s.say("wrote " + printable(file->path) + "\n");
  if (const int status = enable(s, *file); status != kDone) return status;
  if (s.pm2) {
    s.say("+---------------------------------------+\n" +
          pm2::plain("Freeze a process list on reboot via:", s.colour()) + "$ pm2 save\n\n" +
          pm2::plain("Remove init script via:", s.colour()) + "$ pm2 unstartup " + plan.init + "\n");
    return kDone;
  }
  s.say("what runs is started at boot once it is saved: tend save, or tend save --auto on\n");
  if (plan.user_manager)
    s.say("without a login it starts at boot only with lingering: loginctl enable-linger\n");
  s.say("undo with: tend unstartup" + std::string(plan.user_manager ? " --systemd-user" : " " + plan.init) +
        "\n");
  return kDone;
}

int unstartup(Session& s) {
  BootPlan plan;
  if (const int status = begin(s, "unstartup", plan); status != kDone) return status;
  auto file = boot_file(plan);
  if (!file) {
    s.complain(file.error().message);
    return kFailed;
  }
  std::string all;
  for (const std::string& command : file->disable) all += (all.empty() ? "" : " && ") + command;
  if (s.args.has("print")) {
    s.print(all + "\n");
    return kDone;
  }
  if (!s.pm2 && ::access(file->path.c_str(), F_OK) != 0) {
    s.complain("no boot file at " + printable(file->path));
    return kFailed;
  }
  const int status = run_shell(s, all);
  if (s.pm2) {
    s.say(status == 0 ? "\n" + pm2::plain("Init file disabled.", s.colour())
                      : "\nReturn code : " + std::to_string(status) + "\n");
    return kDone;  // PM2 ends with 0 in both cases
  }
  if (status != 0) {
    s.complain(all + ": exit status " + std::to_string(status));
    return kFailed;
  }
  s.say("removed " + printable(file->path) + "\n");
  return kDone;
}

constexpr CommandFlag kFlags[] = {
    {"-u,--user", "<user>", "startup: whose daemon it is."},
    {"--hp", "<home>", "startup: that user's home folder."},
    {"--service-name", "<name>", "startup: the name of the service."},
    {"--wait-ip", "", "startup: wait until the network is configured."},
    {"--systemd-user", "", "startup: a unit of your own systemd manager; needs no root."},
    {"--print", "", "startup: print the file, change nothing."}};

constexpr Command kCommands[] = {
    {"startup", "", "Boot", "[platform]", "Start the saved apps when the machine boots.", startup, 0, kFlags},
    {"unstartup", "", "Boot", "[platform]", "Undo startup.", unstartup, 0, kFlags},
    {"unit-run", "", "Boot", "", "What the systemd unit runs: restore, then wait for the daemon.", unit_run},
    {"unit-left", "", "Boot", "", "What the systemd unit runs when its main process ended.", unit_left},
};

}  // namespace

std::string found_in(std::string_view path, std::string_view program) {
  for (const auto& dir : split(path, ':')) {
    const std::string file = dir + "/" + std::string(program);
    struct stat st {};
    if (!dir.empty() && dir[0] == '/' && ::stat(file.c_str(), &st) == 0 && S_ISREG(st.st_mode) &&
        ::access(file.c_str(), X_OK) == 0)
      return file;
  }
  return {};
}

std::span<const Command> boot_commands() { return kCommands; }

}  // namespace tend::cli
