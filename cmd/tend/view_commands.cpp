// list and its machine-readable kin, describe, pid, id, env.
#include <algorithm>

#include "cmd/pm2/jlist.h"
#include "cmd/pm2/package_version.h"
#include "cmd/pm2/personality.h"
#include "cmd/render/describe.h"
#include "cmd/render/inspect.h"
#include "cmd/render/mask.h"
#include "cmd/render/why.h"
#include "cmd/tend/command.h"
#include "cmd/tend/masking.h"
#include "cmd/tend/outcomes.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "core/model/options.h"
#include "core/model/words.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

constexpr std::size_t kVerdictsShown = 10;

// What is asked about; no daemon is started for it, an absent one has no apps.
Result<Value> rows_of(Session& s, std::string_view detail, const std::vector<std::string>& words) {
  Map params{{"detail", detail}, {"cwd", s.caller.cwd}};
  if (!words.empty()) params.set("targets", List(words.begin(), words.end()));
  auto reply = s.ask(api::kList, std::move(params), Need::existing);
  if (!reply && Session::no_daemon(reply.error()))
    return Value(Map{{"apps", List{}}, {"missing", List(words.begin(), words.end())}});
  if (reply && reply->is<Map>()) {
    if (List* rows = (*reply->as<Map>())["apps"].as<List>()) complete(s, *rows);
  }
  return reply;
}

int list(Session& s) {
  if (s.args.json) {
    auto reply = rows_of(s, "table", {});
    if (!reply) return s.fail(reply.error());
    s.print(ipc::to_json(reply->at("apps")) + "\n");
    return kDone;
  }
  const Status up = s.connect(Need::existing);
  if (up) return show_list(s);
  if (!Session::no_daemon(up.error())) return s.fail(up.error());
  s.say(render::draw(render::apps_table({}, s.page()), s.colour()));
  return kDone;
}

int jlist(Session& s) {
  auto reply = rows_of(s, "full", {});
  if (!reply) return s.fail(reply.error());
  s.print(ipc::to_json(for_output(s, pm2::jlist(reply->at("apps").list()))));
  return kDone;
}

int prettylist(Session& s) {
  if (extra_word(s)) return s.exit_of(kUsage);
  auto reply = rows_of(s, "full", {});
  if (!reply) return s.fail(reply.error());
  s.print(render::inspect(for_output(s, pm2::jlist(reply->at("apps").list()))));
  return kDone;
}

// The verdicts that the daemon keeps, without the ends; null when it is of a version that keeps nothing.
Value verdicts_of(Session& s, const std::vector<std::string>& words) {
  Map params{{"targets", List(words.begin(), words.end())}, {"cwd", s.caller.cwd}, {"last", 0}};
  auto reply = s.ask(api::kWhy, std::move(params), Need::existing);
  return reply ? std::move(*reply) : Value();
}

std::string nothing_there(Session& s, const std::string& word) {
  return s.pm2 ? pm2::warn(printable(word) + " doesn't exist", s.colour_err())
               : "tend: " + not_found(s, word) + "\n";
}

// PM2's end of a description: what differs from the caller's environment, and where to go on.
std::string pm2_epilogue(const Session& s, const Value& row) {
  render::Table divergent;
  divergent.columns.resize(2);
  for (const auto& [key, value] : row.at("base_env").map()) {
    const char* mine = s.caller.variable(key);
    if (mine != nullptr && value.text() != mine) {
      const std::string text = masks_secrets(s) ? render::masked(key, value.text()) : value.text();
      divergent.rows.push_back({{printable(key), render::Ink::bold}, {printable(text)}});
    }
  }
  const std::string name = printable(row.at("name").text());
  return render::paint(render::Ink::inverse, " Divergent env variables from local env ", s.colour()) + "\n" +
         (divergent.rows.empty() ? "\n" : render::draw(divergent, s.colour())) + "\n" +
         " Add your own code metrics: http://bit.ly/code-metrics\n Use `pm2 logs " + name +
         " [--lines 1000]` to display logs\n Use `pm2 env " + std::to_string(row.at("id").integer()) +
         "` to display environment variables\n Use `pm2 monit` to monitor CPU and Memory usage " + name +
         "\n";
}

int describe(Session& s) {
  auto reply = rows_of(s, "full", s.args.words);
  if (!reply) return s.fail(reply.error());
  if (s.args.json) {
    List rows = reply->at("apps").list();
    for (Value& row : rows) {  // the same as in env
      Map* spec = row.is<Map>() ? (*row.as<Map>())["spec"].as<Map>() : nullptr;
      if (spec != nullptr && !s.args.show_secrets) spec->erase("env");
    }
    s.print(ipc::to_json(for_output(s, rows)) + "\n");
  } else {
    const render::Page page = s.page();
    const Value past = s.pm2 ? Value() : verdicts_of(s, s.args.words);
    for (Value row : reply->at("apps").list()) {
      const auto parsed = spec_from_value(row.at("spec"));
      const AppSpec spec = parsed ? *parsed : AppSpec{};
      if (row.at("version").text().empty()) row.as<Map>()->set("version", pm2::package_version(spec.script));
      s.say(render::describe(row, spec, page, !masks_secrets(s)));
      for (const Value& app : past.at("apps").list()) {
        if (app.at("id") == row.at("id")) s.say(render::verdicts(app, kVerdictsShown, page));
      }
      if (s.pm2) s.say(pm2_epilogue(s, row));
    }
  }
  for (const Value& word : reply->at("missing").list()) s.complain_raw(nothing_there(s, word.text()));
  return reply->at("missing").list().empty() ? kDone : kFailed;
}

int why(Session& s) {
  Map params{{"targets", List(s.args.words.begin(), s.args.words.end())}, {"cwd", s.caller.cwd}};
  auto reply = s.ask(api::kWhy, std::move(params), Need::existing);
  if (!reply) return s.fail(reply.error());
  if (s.args.json) {
    s.print(ipc::to_json(*reply) + "\n");
  } else {
    for (const Value& app : reply->at("apps").list())
      s.say(render::why(app, static_cast<std::size_t>(s.args.last), s.page()));
  }
  for (const Value& word : reply->at("missing").list()) s.complain_raw(nothing_there(s, word.text()));
  return reply->at("missing").list().empty() ? kDone : kFailed;
}

int pid(Session& s) {
  auto reply = rows_of(s, "table", s.args.words);
  if (!reply) return s.fail(reply.error());
  for (const Value& row : reply->at("apps").list()) s.print(std::to_string(row.at("pid").integer()) + "\n");
  const bool missing = !reply->at("missing").list().empty();
  if (s.pm2 && reply->at("apps").list().empty()) s.print("\n");
  if (!s.pm2 && missing) s.complain_raw(nothing_there(s, reply->at("missing").list()[0].text()));
  return s.pm2 || !missing ? kDone : kFailed;
}

int id(Session& s) {
  auto reply = rows_of(s, "table", s.args.words);
  if (!reply) return s.fail(reply.error());
  List ids;
  for (const Value& row : reply->at("apps").list()) ids.push_back(row.at("id"));
  s.print(render::inspect(ids) + "\n");
  return kDone;
}

// compat.md 7.5: what is one value in the record and no business of the manager's own.
int pm2_env(Session& s) {
  auto reply = rows_of(s, "full", {s.args.words[0]});
  if (!reply) return s.fail(reply.error());
  if (reply->at("apps").list().empty()) {
    s.complain("Modules with id " + printable(s.args.words[0]) + " not found");
    return kFailed;
  }
  const Value records = for_output(s, pm2::jlist(reply->at("apps").list()));
  for (const auto& [key, value] : records.list()[0].at("pm2_env").map()) {
    if (value.is<List>() || value.is<Map>() || value.is_null() || pm2::internal_key(key)) continue;
    s.print(printable(key) + ": " + render::paint(render::Ink::green, printable(js_text(value)), s.colour()) +
            "\n");
  }
  return kDone;
}

// Under each source the variables that come from it.
void print_environment(Session& s, const List& variables) {
  std::vector<std::string> sources;
  for (const Value& v : variables) {
    if (std::find(sources.begin(), sources.end(), v.at("from").text()) == sources.end())
      sources.push_back(v.at("from").text());
  }
  for (const std::string& source : sources) {
    s.print(render::paint(render::Ink::bold, "# " + printable(source), s.colour()) + "\n");
    for (const Value& v : variables) {
      if (v.at("from").text() != source) continue;
      s.print(printable(v.at("name").text()) + ": " +
              render::paint(render::Ink::green, printable(v.at("value").text()), s.colour()) + "\n");
    }
  }
}

int tend_env(Session& s) {
  auto reply = s.ask(api::kEnvironment, Map{{"targets", List{s.args.words[0]}}, {"cwd", s.caller.cwd}},
                     Need::existing);
  if (!reply && !Session::no_daemon(reply.error())) return s.fail(reply.error());
  if (!reply || reply->at("apps").list().empty()) {
    s.complain_raw(nothing_there(s, s.args.words[0]));
    return kFailed;
  }
  List apps = reply->at("apps").list();
  bool good = true;
  for (Value& app : apps) {
    if (const std::string& wrong = app.at("error").text(); !wrong.empty()) {
      s.complain(printable(app.at("name").text()) + ": " + printable(wrong));
      good = false;
      continue;
    }
    List variables = app.at("variables").list();
    for (Value& v : variables) {
      if (masks_secrets(s))
        v.as<Map>()->set("value", render::masked(v.at("name").text(), v.at("value").text()));
    }
    if (s.args.json) {
      app.as<Map>()->set("variables", std::move(variables));
    } else {
      print_environment(s, variables);
      break;  // its instances differ in their numbers alone
    }
  }
  if (s.args.json) s.print(ipc::to_json(apps) + "\n");
  return good ? kDone : kFailed;
}

int env(Session& s) { return s.pm2 && !s.args.json ? pm2_env(s) : tend_env(s); }

constexpr Command kCommands[] = {
    {"list", "ls l ps status", "Looking", "", "The table of apps.", list},
    {"jlist", "", "Looking", "", "All records, as PM2's JSON.", jlist},
    {"prettylist", "", "Looking", "", "The same in Node's notation.", prettylist},
    {"describe", "desc info show", "Looking", "<app>…", "Everything about an app.", describe, 1},
    {"why", "", "Looking", "<app>…", "How its processes ended: who or what did it, last lines, autopsy.", why,
     1},
    {"pid", "", "Looking", "[app]…", "Process numbers, one per line.", pid},
    {"id", "", "Looking", "<app>", "Numbers of the app's instances.", id, 1},
    {"env", "", "Looking", "<app>", "The app's environment.", env, 1},
};

}  // namespace

std::span<const Command> view_commands() { return kCommands; }

}  // namespace tend::cli
