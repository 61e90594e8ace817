// doctor: the boot file, a PM2 beside, and what the kernel grants.
#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <memory>

#include "cmd/tend/boot_files.h"
#include "cmd/tend/boot_unit.h"
#include "cmd/tend/doctor.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "core/tree/unit_room.h"
#include "ipc/unix_connect.h"

namespace tend::cli {
namespace {

constexpr rlim_t kFewFiles = 65536;
constexpr int64_t kFewWatches = 8192, kFewInotifies = 128;
constexpr time_t kBuilt = 1'700'000'000;  // no clock that is right says less
constexpr int kOldestNode = 18;

std::string program(const Session& s) { return s.pm2 ? "pm2" : "tend"; }

struct Unit {
  std::string name, path, text;
  bool user = false, enabled = false;
};

std::vector<std::string> names_in_folder(const std::string& dir) {
  std::vector<std::string> out;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(dir.c_str()), ::closedir);
  if (!folder) return out;
  while (const dirent* entry = ::readdir(folder.get())) out.emplace_back(entry->d_name);
  std::sort(out.begin(), out.end());
  return out;
}

bool enabled_in(const std::string& dir, const std::string& name) {
  for (const std::string& wants : names_in_folder(dir)) {
    struct stat st {};
    if (wants.ends_with(".wants") && ::lstat((dir + "/" + wants + "/" + name).c_str(), &st) == 0) return true;
  }
  return false;
}

// Units of the machine and of the user that restore a list at boot.
std::vector<Unit> units(const Session& s) {
  std::vector<Unit> out;
  for (const bool user : {false, true}) {
    const std::string dir = user ? s.caller.user_home + "/.config/systemd/user" : "/etc/systemd/system";
    for (const std::string& name : names_in_folder(dir)) {
      if (!name.ends_with(".service")) continue;
      auto text = read_file(dir + "/" + name);
      if (text &&
          (text->find(" resurrect") != std::string::npos || text->find(" unit-run") != std::string::npos))
        out.push_back({name, dir + "/" + name, *text, user, enabled_in(dir, name)});
    }
  }
  return out;
}

// The text behind `key` up to the end of its line.
std::string value_of(const std::string& text, const std::string& key) {
  const auto at = text.find("\n" + key);
  if (at == std::string::npos) return {};
  const auto begin = at + 1 + key.size();
  return text.substr(begin, text.find('\n', begin) - begin);
}

// In the form that `startup` writes, or in PM2's.
bool serves(const Unit& unit, const Session& s) {
  const std::string home = std::string(s.pm2 ? "PM2_HOME=" : "TEND_HOME=") + s.home.dir;
  return unit.text.find("Environment=" + unit_word(home, true) + "\n") != std::string::npos ||
         unit.text.find("Environment=" + home + "\n") != std::string::npos;
}

// The first word of ExecStart, unquoted.
std::string exec_of(const Unit& unit) {
  std::string exec = value_of(unit.text, "ExecStart=");
  if (!exec.empty() && exec[0] == '@') exec.erase(0, 1);
  const bool quoted = !exec.empty() && exec[0] == '"';
  exec = quoted ? exec.substr(1, exec.find('"', 1) - 1) : exec.substr(0, exec.find(' '));
  std::string out;
  for (std::size_t i = 0; i < exec.size(); ++i) {
    if ((exec[i] == '%' || exec[i] == '\\') && i + 1 < exec.size()) ++i;
    out += exec[i];
  }
  return out;
}

std::string real(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> out(::realpath(path.c_str(), nullptr), std::free);
  return out ? out.get() : "";
}

void check_unit(const Session& s, const Unit& unit, int64_t keeper, Findings& out) {
  const std::string again = program(s) + " startup" + (unit.user ? " --systemd-user" : "");
  const std::string ctl = unit.user ? "systemctl --user" : "systemctl";
  const std::string exec = exec_of(unit);
  const auto add = [&](Verdict verdict, const std::string& text, const std::string& fix) {
    out.push_back({"boot", verdict, text, fix});
  };
  const std::size_t before = out.size();
  if (exec.empty() || ::access(exec.c_str(), X_OK) != 0)
    add(Verdict::fail, unit.path + " runs " + exec + ", which is gone", again);
  else if (real(exec) != real("/proc/self/exe"))
    add(Verdict::warn, unit.path + " runs " + exec + ", not this program", again);
  if (!unit.enabled) add(Verdict::fail, unit.path + " is not enabled", ctl + " enable " + unit.name);
  const std::string mode = value_of(unit.text, "KillMode=");
  if (mode != "process")
    add(Verdict::warn,
        unit.path + ": KillMode=" + (mode.empty() ? "control-group" : mode) +
            " ends every app when the unit is restarted",
        again);
  std::string gone;
  std::string path = value_of(unit.text, "Environment=\"PATH=");
  if (path.empty()) path = value_of(unit.text, "Environment=PATH=");
  path = path.substr(0, path.find('"'));
  for (const auto& dir : split(path, ':')) {
    if (dir.find("node") != std::string::npos && ::access(dir.c_str(), F_OK) != 0) gone = dir;
  }
  if (!gone.empty()) add(Verdict::warn, unit.path + ": its PATH names " + gone + ", which is gone", again);
  if (unit.user && ::access(("/var/lib/systemd/linger/" + s.caller.user).c_str(), F_OK) != 0)
    add(Verdict::warn, unit.name + " starts at login only: no lingering",
        "loginctl enable-linger " + s.caller.user);
  const auto group = read_file("/proc/" + std::to_string(keeper) + "/cgroup");
  const bool managed = ::access("/run/systemd/system", F_OK) == 0;
  if (managed && group && group->find("/" + unit.name) == std::string::npos)
    add(Verdict::warn,
        "the daemon was started by hand: it may end with that login, and " + unit.name + " does not know it",
        program(s) + " save && " + program(s) + " kill && " + ctl + " start " + unit.name +
            ", when apps may be restarted");
  if (out.size() == before) add(Verdict::ok, unit.path + ", enabled", "");
}

int64_t number_in(const char* path) {
  const auto text = read_file(path);
  return text ? std::strtoll(text->c_str(), nullptr, 10) : -1;
}

// Where the control group of v2 of a process lies; "": there is none.
std::string cgroup_of(const std::string& process) {
  const auto mounts = read_file("/proc/self/mountinfo");
  const auto own = read_file("/proc/" + process + "/cgroup");
  if (!mounts || !own) return {};
  for (const auto& line : split(*mounts, '\n')) {
    const auto fields = split(line, ' ');
    if (line.find(" - cgroup2 ") == std::string::npos || fields.size() < 5) continue;
    for (const auto& group : split(*own, '\n'))
      if (group.rfind("0::", 0) == 0) return fields[4] + (group == "0::/" ? "" : group.substr(3));
  }
  return {};
}

}  // namespace

void check_boot(Session& s, Findings& out) {
  bool found = false;
  const auto who = s.ask(api::kPing, Map{}, Need::existing);
  const int64_t keeper = who ? who->at("keeper").at("pid").integer() : 0;
  for (const Unit& unit : units(s)) {
    if (!serves(unit, s)) continue;
    found = true;
    check_unit(s, unit, keeper, out);
  }
  if (found) return;
  const bool systemd = ::access("/etc/systemd/system", F_OK) == 0;
  out.push_back({"boot", Verdict::warn,
                 systemd ? "no unit starts the apps of " + s.home.dir
                         : "no systemd here; other init systems are not looked at",
                 program(s) + " startup"});
}

void check_pm2(const Session& s, Findings& out) {
  const std::string home = s.pm2 ? s.home.dir : s.caller.user_home + "/.pm2";
  const bool live = ipc::unix_connect(home + "/rpc.sock", Millis{200}).has_value();
  if (live)
    out.push_back(
        {"pm2", Verdict::warn, "a daemon of PM2 runs in " + home, program(s) + " import pm2 --live --kill"});
  for (const Unit& unit : units(s)) {
    const bool theirs =
        unit.text.find(" resurrect") != std::string::npos && unit.text.find("unit-run") == std::string::npos;
    if (theirs && unit.enabled && !(s.pm2 && real(exec_of(unit)) == real("/proc/self/exe")))
      out.push_back({"pm2", Verdict::warn,
                     unit.path + " starts PM2 at boot: apps that were moved would run twice",
                     "systemctl disable " + unit.name});
  }
  if (out.empty() || out.back().check != "pm2")
    out.push_back({"pm2", Verdict::ok, "no daemon of PM2 in " + home + ", none at boot", ""});
}

void check_limits(Session& s, Findings& out) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  const bool few = ::geteuid() != 0 && files.rlim_max < kFewFiles;
  out.push_back({"open files", few ? Verdict::warn : Verdict::ok, "limit " + std::to_string(files.rlim_max),
                 few ? "LimitNOFILE= in the unit, or /etc/security/limits.conf: " + s.caller.user +
                           " hard nofile 1048576"
                     : ""});
  const auto who = s.ask(api::kPing, Map{}, Need::existing);  // the daemon's, which may be a unit's
  const std::string group =
      tree::base_group(cgroup_of(who ? std::to_string(who->at("keeper").at("pid").integer()) : "self"));
  const bool writable = !group.empty() && ::access(group.c_str(), W_OK) == 0;
  out.push_back(
      {"control groups", writable ? Verdict::ok : Verdict::warn,
       writable ? group + " can be written"
                : "none can be written: an app's processes are found by search, limits by group do not work",
       writable ? ""
                : "run the daemon by its unit (Delegate=yes): " + program(s) + " startup" +
                      (::geteuid() == 0 ? "" : " --systemd-user")});
  const int64_t watches = number_in("/proc/sys/fs/inotify/max_user_watches"),
                instances = number_in("/proc/sys/fs/inotify/max_user_instances");
  const bool short_of =
      (watches >= 0 && watches < kFewWatches) || (instances >= 0 && instances < kFewInotifies);
  out.push_back(
      {"inotify", short_of ? Verdict::warn : Verdict::ok,
       std::to_string(watches) + " watches, " + std::to_string(instances) + " instances a user",
       short_of ? "sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512" : ""});
}

void check_clock(const Session&, Findings& out) {
  if (::time(nullptr) < kBuilt) {
    out.push_back({"clock", Verdict::fail, "it stands before 2024: cron and log times are wrong",
                   "timedatectl set-ntp true"});
    return;
  }
  timex state{};
  const bool loose = ::adjtimex(&state) < 0 || (state.status & STA_UNSYNC) != 0;
  out.push_back({"clock", loose ? Verdict::warn : Verdict::ok,
                 loose ? "not kept right by the network: cron may drift" : "synchronised",
                 loose ? "timedatectl set-ntp true" : ""});
}

void check_node(const Session& s, Findings& out) {
  const char* path = s.caller.variable("PATH");
  const std::string node = found_in(path == nullptr ? "" : path, "node");
  if (node.empty())
    return out.push_back({"node", Verdict::ok, "none in PATH; apps in JavaScript would need one", ""});
  std::string command = "'";
  for (const char c : node) command += c == '\'' ? std::string("'\\''") : std::string(1, c);
  const std::unique_ptr<FILE, int (*)(FILE*)> child(
      ::popen((command + "' --version 2>/dev/null").c_str(), "r"), ::pclose);
  char text[64] = "";
  const bool read = child && std::fgets(text, sizeof text, child.get()) != nullptr && text[0] == 'v';
  const int major = read ? std::atoi(text + 1) : 0;
  const std::string version = read ? std::string(trim(text)) : "does not run";
  const Verdict verdict = !read ? Verdict::fail : major < kOldestNode ? Verdict::warn : Verdict::ok;
  out.push_back({"node", verdict, node + " " + printable(version),
                 verdict == Verdict::ok ? "" : "install Node 18 or newer"});
}

}  // namespace tend::cli
