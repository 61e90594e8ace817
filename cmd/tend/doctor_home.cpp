// doctor: the daemon, its home, and what its apps need.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "cmd/tend/boot_unit.h"
#include "cmd/tend/command.h"
#include "cmd/tend/doctor.h"
#include "core/base/file.h"
#include "core/base/home_place.h"
#include "core/base/own_program.h"
#include "core/base/text.h"
#include "core/base/unique_fd.h"
#include "core/model/api.h"
#include "core/model/options.h"
#include "core/model/pm2_record.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

constexpr int kFewPercent = 5;
constexpr uint64_t kFewBytes = 200ull << 20;
constexpr std::size_t kNamesShown = 5;

std::string program(const Session& s) { return s.pm2 ? "pm2" : "tend"; }

std::string octal(mode_t mode) {
  char text[8];
  std::snprintf(text, sizeof text, "%04o", static_cast<unsigned>(mode & 07777));
  return text;
}

bool locks_work(const std::string& dir) {
  TemporaryFile file(dir + "/doctor");
  return file.fd() < 0 || ::flock(file.fd(), LOCK_EX | LOCK_NB) == 0 ||
         (errno != ENOSYS && errno != EOPNOTSUPP && errno != ENOLCK);
}

void check_private(const Session& s, Findings& out) {
  struct stat st {};
  if (::stat(s.home.dir.c_str(), &st) != 0) {
    out.push_back(
        {"home", errno == ENOENT ? Verdict::ok : Verdict::fail,
         s.home.dir + ": " + std::strerror(errno) + (errno == ENOENT ? "; the first start makes it" : ""),
         ""});
    return;
  }
  if (st.st_uid != ::geteuid()) {
    out.push_back(
        {"home", Verdict::fail,
         s.home.dir + " belongs to uid " + std::to_string(st.st_uid) + ", not " + std::to_string(::geteuid()),
         "chown -R " + s.caller.user + " " + s.home.dir});
    return;
  }
  // PM2 made its home readable by all; what is in it decides.
  const bool open = (st.st_mode & 022) != 0;
  out.push_back({"home",
                 open                      ? Verdict::fail
                 : (st.st_mode & 077) != 0 ? Verdict::warn
                                           : Verdict::ok,
                 s.home.dir + ", mode " + octal(st.st_mode),
                 (st.st_mode & 077) != 0 ? "chmod 700 " + s.home.dir : ""});
  if (const std::string place = place_of(s.home.dir); place != s.home.dir)
    out.push_back(
        {"locks", Verdict::ok, "the home's file system has none, or no sockets: both are in " + place, ""});
  else if (!locks_work(s.home.dir))
    out.push_back({"locks", Verdict::ok,
                   "the home's file system has none: the next start makes a folder elsewhere", ""});
  else
    out.push_back({"locks", Verdict::ok, "the home's file system has locks", ""});
  struct stat sock {};
  if (::stat(s.home.socket().c_str(), &sock) == 0) {
    const bool wide = (sock.st_mode & 077) != 0;
    out.push_back({"socket", wide ? Verdict::fail : Verdict::ok,
                   s.home.socket() + ", mode " + octal(sock.st_mode),
                   wide ? "chmod 600 " + s.home.socket() : ""});
  }
}

void check_disk(const Session& s, Findings& out) {
  std::string dir = s.home.dir;
  struct statvfs fs {};
  while (::statvfs(dir.c_str(), &fs) != 0 && dir.size() > 1)
    dir.resize(std::max<std::size_t>(dir.rfind('/'), 1));
  const uint64_t left = static_cast<uint64_t>(fs.f_bavail) * fs.f_frsize,
                 all = static_cast<uint64_t>(fs.f_blocks) * fs.f_frsize;
  const bool none = fs.f_bavail == 0 || (fs.f_files > 0 && fs.f_favail == 0);
  const bool few = all > 0 && left < kFewBytes && left * 100 / all < kFewPercent;
  const std::string text = show(Bytes{static_cast<int64_t>(left >> 20 << 20)}) + " free for " + s.home.dir +
                           (fs.f_files > 0 && fs.f_favail == 0 ? ", no inode left" : "");
  out.push_back({"disk",
                 none  ? Verdict::fail
                 : few ? Verdict::warn
                       : Verdict::ok,
                 text, none || few ? program(s) + " flush, or make room" : ""});
}

Result<List> saved_list(const Session& s) {
  auto text = read_file(s.home.dump(), 256u << 20);
  if (!text) return tl::unexpected<Error>(text.error());
  auto value = ipc::from_json(*text);
  if (!value) return fail(s.home.dump() + ": " + value.error().message);
  if (!value->is<List>()) return value->at("apps").list();
  StringList wrong;
  List apps = saved_list_from_pm2(value->list(), {}, wrong);
  if (!wrong.empty()) return fail(s.home.dump() + ": " + wrong.front());
  return apps;
}

// What one app needs and is not there: "" when all is.
std::string lost_part(const AppSpec& spec, const Value& env) {
  struct stat st {};
  if (!spec.script.empty() && ::stat(spec.script.c_str(), &st) != 0)
    return "its script " + spec.script + " is gone";
  if (!spec.cwd.empty() && ::stat(spec.cwd.c_str(), &st) != 0) return "its folder " + spec.cwd + " is gone";
  if (spec.interpreter.empty() || spec.interpreter == "none") return {};
  if (spec.interpreter[0] == '/')
    return ::access(spec.interpreter.c_str(), X_OK) == 0 ? ""
                                                         : "its interpreter " + spec.interpreter + " is gone";
  std::string path = env.at("PATH").text();
  for (const auto& [key, value] : spec.env)
    if (key == "PATH") path = value;
  return path.empty() || !found_in(path, spec.interpreter).empty()
             ? ""
             : spec.interpreter + " is in no folder of its PATH any more";
}

void check_parts(const Session& s, const Value& spec_map, const Value& env, std::string_view where,
                 std::set<std::string>& told, Findings& out) {
  const auto spec = spec_from_value(spec_map);
  if (!spec) return;
  const std::string lost = lost_part(*spec, env);
  if (lost.empty() || !told.insert(spec->name + lost).second) return;
  out.push_back({"apps", Verdict::fail, spec->name + " (" + std::string(where) + "): " + lost,
                 lost.find("interpreter") != std::string::npos || lost.find("PATH") != std::string::npos
                     ? program(s) + " restart " + spec->name + " --interpreter $(command -v " +
                           spec->interpreter.substr(spec->interpreter.rfind('/') + 1) +
                           ") --update-env, then " + program(s) + " save"
                     : program(s) + " delete " + spec->name + ", or put it back"});
}

std::string names_text(const std::set<std::string>& names) {
  std::string out;
  std::size_t n = 0;
  for (const auto& name : names) {
    if (n++ == kNamesShown) return out + " and " + std::to_string(names.size() - kNamesShown) + " more";
    out += (out.empty() ? "" : ", ") + name;
  }
  return out;
}

}  // namespace

void check_daemon(Session& s, Findings& out) {
  const auto reply = s.ask(api::kPing, Map{}, Need::existing);
  if (!reply) {
    const bool none = Session::no_daemon(reply.error());
    out.push_back({"daemon", none ? Verdict::ok : Verdict::fail,
                   none ? "none runs in " + s.home.dir : reply.error().message,
                   none ? "" : program(s) + " kill --supervisor"});
    return;
  }
  const std::string& version = reply->at("version").text();
  const int64_t keeper = reply->at("keeper").at("pid").integer();
  if (version != TEND_VERSION) {
    out.push_back({"daemon", Verdict::warn, "version " + version + ", this program is " TEND_VERSION,
                   program(s) + " update"});
  } else {
    out.push_back({"daemon", Verdict::ok, "version " + version + ", keeper " + std::to_string(keeper), ""});
  }
  if (path_of_program(static_cast<pid_t>(keeper)).ends_with(" (deleted)"))
    out.push_back({"keeper", Verdict::warn, "its program was replaced or removed since it began",
                   program(s) + " update"});
}

void check_home(const Session& s, Findings& out) {
  check_private(s, out);
  check_disk(s, out);
}

void check_apps(Session& s, Findings& out) {
  const std::size_t before = out.size();
  std::set<std::string> told, running, saved;
  const auto rows = s.ask(api::kList, Map{{"detail", "full"}, {"cwd", s.caller.cwd}}, Need::existing);
  if (rows) {
    for (const Value& row : rows->at("apps").list()) {
      running.insert(row.at("name").text());
      check_parts(s, row.at("spec"), row.at("base_env"), "managed", told, out);
    }
  }
  const auto list = saved_list(s);
  if (list) {
    for (const Value& one : *list) {
      saved.insert(one.at("app").at("spec").at("name").text());
      check_parts(s, one.at("app").at("spec"), one.at("env"), "saved", told, out);
    }
  } else if (list.error().code != ENOENT) {
    out.push_back({"saved list", Verdict::fail, list.error().message, program(s) + " save"});
  }
  if (out.size() == before)
    out.push_back({"apps", Verdict::ok,
                   std::to_string(running.size()) + " managed, " + std::to_string(saved.size()) +
                       " saved; scripts and interpreters are there",
                   ""});
  std::set<std::string> unsaved;
  std::set_difference(running.begin(), running.end(), saved.begin(), saved.end(),
                      std::inserter(unsaved, unsaved.end()));
  if (!unsaved.empty())
    out.push_back(
        {"saved list", Verdict::warn,
         names_text(unsaved) + (unsaved.size() == 1 ? " is" : " are") + " not in it: lost at the next boot",
         program(s) + " save, or once for all " + program(s) + " save --auto on"});
}

}  // namespace tend::cli
