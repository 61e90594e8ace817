// import pm2, export pm2.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "cmd/pm2/jlist.h"
#include "cmd/pm2/pm2_client.h"
#include "cmd/tend/boot_unit.h"
#include "cmd/tend/command.h"
#include "cmd/tend/outcomes.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "core/model/options.h"
#include "core/model/pm2_record.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

constexpr Millis kStartTime{120'000};
constexpr Millis kPm2Time{60'000};
constexpr Millis kPm2End{10'000};
constexpr std::size_t kMostDump = 256u << 20;
constexpr std::size_t kMostValues = 80'000;  // of a message, which may hold 100,000 (ipc/msgpack.h)

// All instances of one app, as PM2 has them.
struct Moving {
  std::string name;
  List records;  // pm2_env
  std::vector<int64_t> ids, running;
};

struct Move {
  Session& s;
  std::string from;  // PM2's home
  Pm2Reading reading;
  std::set<std::string> here;  // names that tend has already
  bool good = true;
};

std::vector<Moving> grouped(const List& records) {
  std::vector<Moving> out;
  for (const Value& record : records) {
    if (record.at("pmx_module").boolean()) continue;
    const std::string& name = record.at("name").text();
    auto found = std::find_if(out.begin(), out.end(), [&](const Moving& m) { return m.name == name; });
    if (found == out.end()) found = out.insert(out.end(), Moving{name, {}, {}, {}});
    found->records.push_back(record);
    const int64_t id = record.at("pm_id").integer(-1);
    if (id < 0) continue;
    found->ids.push_back(id);
    const std::string& status = record.at("status").text();
    if (status != "stopped" && status != "errored") found->running.push_back(id);
  }
  return out;
}

std::size_t values_in(const Value& v) {
  std::size_t n = 1;
  for (const Value& one : v.list()) n += values_in(one);
  for (const auto& [key, value] : v.map()) n += 1 + values_in(value);
  return n;
}

// What was missing or went wrong; "": every instance is as it was in PM2. In parts that a message can hold.
std::string start_here(Move& move, const Moving& app) {
  StringList wrong;
  List items = saved_list_from_pm2(app.records, move.reading, wrong);
  if (!wrong.empty()) return wrong.front();
  std::size_t started = 0;
  for (std::size_t at = 0; at < items.size();) {
    List part;
    for (std::size_t size = 0;
         at < items.size() && (part.empty() || size + values_in(items[at]) < kMostValues); ++at) {
      size += values_in(items[at]);
      part.push_back(std::move(items[at]));
    }
    Map params{{"cause", move.s.caller.cause()}, {"more", started > 0}, {"apps", std::move(part)}};
    auto reply = move.s.ask(api::kResurrect, std::move(params), Need::started, kStartTime);
    if (!reply) return reply.error().message;
    for (const Value& outcome : reply->at("results").list()) {
      if (outcome.at("ok").boolean()) continue;
      const std::string& error = outcome.at("error").text();
      return error.empty() ? outcome.at("code").text() : error;
    }
    started += reply->at("results").list().size();
  }
  return started == app.records.size() ? "" : "not every instance was started";
}

void take_back(Move& move, const Moving& app) {
  (void)move.s.ask(api::kAct,
                   Map{{"verb", "delete"},
                       {"targets", List{app.name}},
                       {"cwd", move.s.caller.cwd},
                       {"cause", move.s.caller.cause()}},
                   Need::existing, kStartTime);
}

std::string count_text(const Moving& app) {
  return app.records.size() == 1 ? "" : ", " + std::to_string(app.records.size()) + " instances";
}

bool present(Move& move, const Moving& app) {
  if (move.here.count(app.name) == 0) return false;
  move.s.complain(printable(app.name) + ": an app of this name is here already; left alone");
  move.good = false;
  return true;
}

void move_live(Move& move, pm2::RealPm2& real, const Moving& app) {
  Session& s = move.s;
  if (present(move, app)) return;
  const SystemClock clock;
  const auto fails = [&](const std::string& why) {
    s.complain(printable(app.name) + ": " + printable(why) + "; it stays in PM2");
    move.good = false;
  };
  // Stopped first and deleted last: until it is up here, PM2 has it and can take it back.
  const auto give_back = [&] {
    for (const int64_t id : app.running) {
      if (auto back = real.call("restartProcessId", List{Map{{"id", id}, {"env", Map{}}}}, kPm2Time); !back)
        s.complain(printable(app.name) + ": PM2 does not start it again: " + printable(back.error().message) +
                   "; pm2 restart " + std::to_string(id));
    }
  };
  for (const int64_t id : app.running) {
    if (auto stopped = real.call("stopProcessId", List{id}, kPm2Time); !stopped) {
      give_back();
      return fails("PM2 does not stop it: " + stopped.error().message);
    }
  }
  const Millis down = clock.now();
  if (const std::string why = start_here(move, app); !why.empty()) {
    take_back(move, app);
    give_back();
    return fails(why);
  }
  const Millis gap = clock.now() - down;
  for (const int64_t id : app.ids) {
    if (auto gone = real.call("deleteProcessId", List{id}, kPm2Time); !gone) {
      s.complain(printable(app.name) + ": it is here, and stopped in PM2, which does not delete it: " +
                 printable(gone.error().message));
      move.good = false;
    }
  }
  s.say(printable(app.name) + " moved" + count_text(app) +
        (app.running.empty() ? ", stopped" : ", gap " + std::to_string(gap.n) + " ms") + "\n");
  s.flush();
}

// PM2 ends the one that asks by SIGQUIT when it is done, and hangs up.
void end_pm2(Move& move, pm2::RealPm2& real) {
  auto left = real.call("getMonitorData", List{Map{}}, kPm2Time);
  if (left && !grouped(left->list().empty() ? List{} : [&] {
        List records;
        for (const Value& one : left->list()) records.push_back(one.at("pm2_env"));
        return records;
      }()).empty()) {
    move.s.complain("PM2 is not ended: it still has apps");
    return;
  }
  ::signal(SIGQUIT, SIG_IGN);
  const UniqueFd daemon = real.pidfd();
  const auto ended = real.call("killMe", List{Map{{"pid", static_cast<int64_t>(::getpid())}}}, kPm2Time);
  if (!ended && ended.error().code != ECONNRESET) {
    move.s.complain("PM2 is not ended: " + printable(ended.error().message));
    move.good = false;
    return;
  }
  // Its answer comes before its end, and pm2.pid goes between the two.
  pollfd end{daemon.get(), POLLIN, 0};
  if (daemon && ::poll(&end, 1, static_cast<int>(kPm2End.n)) == 0) {
    move.s.complain("PM2 is not ended: its process goes on");
    move.good = false;
    return;
  }
  move.s.say("PM2's daemon ended\n");
  if (move.from != move.s.home.dir) return;
  const auto who = move.s.ask(api::kPing, Map{}, Need::existing);
  if (who) (void)replace_file(move.from + "/pm2.pid", std::to_string(who->at("keeper").at("pid").integer()));
}

int import_live(Move& move) {
  Session& s = move.s;
  auto real = pm2::RealPm2::connect(move.from);
  if (!real) {
    s.complain("import: no PM2 answers at " + printable(move.from) + "/rpc.sock (" +
               std::strerror(real.error().code) + "); its saved list is read without --live");
    return s.exit_of(kUnavailable);
  }
  auto data = real->call("getMonitorData", List{Map{}}, kPm2Time);
  if (!data) return s.fail(data.error());
  List records;
  for (const Value& one : data->list()) {
    Value record = one.at("pm2_env");
    if (Map* map = record.as<Map>(); map != nullptr && record.at("name").is_null())
      map->set("name", one.at("name"));
    records.push_back(std::move(record));
  }
  const auto apps = grouped(records);
  for (const Moving& app : apps) move_live(move, *real, app);
  if (apps.empty()) s.say("PM2 has no app\n");
  if (s.args.has("kill")) end_pm2(move, *real);
  return move.good ? kDone : kFailed;
}

int import_dump(Move& move) {
  Session& s = move.s;
  if (pm2::RealPm2::connect(move.from)) {
    s.complain("import: a daemon of PM2 runs in " + printable(move.from) +
               ", so its apps would run twice; accepted: --live, or pm2 kill first");
    return kFailed;
  }
  Result<Value> value = fail("not read");
  std::string why;
  for (const char* end : {"/dump.pm2", "/dump.pm2.bak"}) {
    const auto text = read_file(move.from + end, kMostDump);
    value = text ? ipc::from_json(*text) : Result<Value>(tl::unexpected<Error>(text.error()));
    if (value && value->is<List>()) break;
    why += (why.empty() ? "" : "; ") + (value ? move.from + end + ": no list" : value.error().message);
    value = fail(why);
  }
  if (!value) {
    s.complain("import: " + printable(why));
    return kFailed;
  }
  std::size_t count = 0;
  for (const Moving& app : grouped(value->list())) {
    if (present(move, app)) continue;
    if (const std::string wrong = start_here(move, app); !wrong.empty()) {
      s.complain(printable(app.name) + ": " + printable(wrong));
      move.good = false;
      continue;
    }
    ++count;
    s.say(printable(app.name) + " imported" + count_text(app) + "\n");
  }
  if (count == 0 && move.good) s.say("no app in it\n");
  return move.good ? kDone : kFailed;
}

bool only_pm2(Session& s) {
  if (s.args.words[0] == "pm2") return true;
  s.complain(s.args.command + ": found " + printable(s.args.words[0]) + "; accepted: pm2");
  return false;
}

int import(Session& s) {
  if (!only_pm2(s)) return s.exit_of(kUsage);
  const char* variable = s.caller.variable("PM2_HOME");
  std::string from = s.args.value(
      "home", variable != nullptr && *variable != '\0' ? variable : s.caller.user_home + "/.pm2");
  if (from.empty() || from[0] != '/') from = s.caller.cwd + "/" + from;
  while (from.size() > 1 && from.back() == '/') from.pop_back();
  Move move{s, from, {s.pm2, from, from == s.home.dir ? "" : s.home.dir}, {}, true};
  s.beside_pm2 = true;
  if (auto rows = s.ask(api::kList, Map{{"detail", "brief"}, {"cwd", s.caller.cwd}}, Need::existing)) {
    for (const Value& row : rows->at("apps").list()) move.here.insert(row.at("name").text());
  } else if (!Session::no_daemon(rows.error())) {
    return s.fail(rows.error());
  }
  const int status = s.args.has("live") ? import_live(move) : import_dump(move);
  if (status == kDone)
    s.say("to have them back at the next boot: " + std::string(s.pm2 ? "pm2" : "tend") + " save\n");
  return status;
}

Value list_of(const StringList& words) { return List(words.begin(), words.end()); }

// Differs from shell to shell, and means nothing to an app.
bool of_a_shell(std::string_view name) {
  for (const std::string_view own : {"_", "SHLVL", "PWD", "OLDPWD", "TEND_HOME", "unique_id"})
    if (name == own) return true;
  return name.substr(0, 4) == "PM2_";
}

// One app of an ecosystem file that PM2 takes.
Value ecosystem_app(const Session& s, const Value& row) {
  const auto read = spec_from_value(row.at("spec"));
  const AppSpec spec = read ? *read : AppSpec{};
  Map app{{"name", spec.name}, {"script", spec.script}, {"cwd", spec.cwd}};
  if (spec.name_space != "default") app.set("namespace", spec.name_space);
  if (!spec.args.empty()) app.set("args", list_of(spec.args));
  app.set("interpreter", spec.interpreter.empty() ? "none" : spec.interpreter);
  if (!spec.node_args.empty()) app.set("node_args", list_of(spec.node_args));
  app.set("exec_mode", spec.exec_mode);
  app.set("instances", 1);
  for (const OptionRow& row_of : options()) {
    const bool unknown_there = row_of.pm2_accepts.empty();
    if (unknown_there || !spec.given[index_of(row_of)] || app.find(row_of.key) != nullptr ||
        row_of.key == "env")
      continue;
    app.set(std::string(row_of.key), get(spec, row_of));
  }
  if (spec.merge_logs) app.set("merge_logs", true);
  // What whoever starts the file would not have anyway.
  Map env;
  for (const auto& [key, value] : row.at("base_env").map()) {
    const char* mine = s.caller.variable(key);
    if (!of_a_shell(key) && (mine == nullptr || value.text() != mine)) env.append(key, value);
  }
  for (const auto& [key, value] : spec.env) env.set(key, value);
  if (!env.empty()) app.set("env", std::move(env));
  return app;
}

std::string ecosystem_text(const Session& s, const List& rows) {
  List apps;
  for (const Value& row : rows) {
    Value app = ecosystem_app(s, row);
    const auto same = std::find_if(apps.begin(), apps.end(), [&](const Value& known) {
      for (const char* key : {"name", "script", "args"})
        if (known.at(key) != app.at(key)) return false;
      return true;
    });
    if (same == apps.end())
      apps.push_back(std::move(app));
    else
      same->as<Map>()->set("instances", same->at("instances").integer() + 1);
  }
  return ipc::to_json(Map{{"apps", std::move(apps)}}, 2) + "\n";
}

// As PM2's own `save` has it.
std::string dump_text(const List& rows) {
  List records;
  const Value list = pm2::jlist(rows);
  for (const Value& one : list.list()) {
    Value record = one.at("pm2_env");
    for (const char* key : {"pm_id", "instances", "prev_restart_delay"}) record.as<Map>()->erase(key);
    records.push_back(std::move(record));
  }
  return ipc::to_json(records, 2) + "\n";
}

int export_apps(Session& s) {
  if (!only_pm2(s)) return s.exit_of(kUsage);
  auto reply = s.ask(api::kList, Map{{"detail", "full"}, {"cwd", s.caller.cwd}}, Need::existing);
  if (!reply) return s.fail(reply.error());
  List rows = reply->at("apps").list();
  complete(s, rows);
  const std::string path = s.args.words.size() > 1 ? s.args.words[1] : "";
  if (path.empty()) {
    s.print(ecosystem_text(s, rows));
    return kDone;
  }
  const bool dump = path.ends_with(".pm2");
  if (!dump && !path.ends_with(".json")) {
    s.complain("export: found " + printable(path) +
               "; accepted: a file .json (an ecosystem file) or .pm2 (a dump.pm2)");
    return s.exit_of(kUsage);
  }
  if (auto ok = replace_file(path, dump ? dump_text(rows) : ecosystem_text(s, rows)); !ok)
    return s.fail(ok.error());
  s.say("wrote " + printable(path) + "\n");
  return kDone;
}

constexpr CommandFlag kImportFlags[] = {
    {"--home", "<dir>", "import: PM2's home (~/.pm2)."},
    {"--live", "", "import: take the apps of the running PM2 over, one by one."},
    {"--kill", "", "import --live: end PM2's daemon when it has no app any more."}};

constexpr Command kCommands[] = {
    {"import", "", "Moving", "pm2", "Take over the apps of PM2.", import, 1, kImportFlags},
    {"export", "", "Moving", "pm2 [file]", "Write the apps as PM2 reads them: .json or dump.pm2.",
     export_apps, 1},
};

}  // namespace

std::span<const Command> move_commands() { return kCommands; }

}  // namespace tend::cli
