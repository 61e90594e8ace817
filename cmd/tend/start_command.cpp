#include "cmd/tend/start_command.h"

#include <unistd.h>

#include <algorithm>

#include "cmd/pm2/personality.h"
#include "cmd/tend/outcomes.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "core/model/options.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

// The files that `start` without a word looks for in the caller's directory. PM2 knows the first only.
constexpr std::string_view kDefaultFiles[] = {
    "ecosystem.config.js", "ecosystem.config.cjs", "ecosystem.config.mjs", "ecosystem.config.json",
    "ecosystem.json",      "ecosystem.config.yml", "ecosystem.config.yaml"};

std::string default_file(const Session& s) {
  if (!s.pm2) {
    for (const auto name : kDefaultFiles)
      if (::access(std::string(name).c_str(), R_OK) == 0) return std::string(name);
  }
  return std::string(kDefaultFiles[0]);
}

// PM2 calls a value that its rules refuse a warning, although it starts nothing then (compat.md 3.3).
bool refused_value(std::string_view text) {
  for (const std::string_view begin : {"Verify ", "Expect ", "The minimum of ", "The maximum of ", "\""})
    if (text.substr(0, begin.size()) == begin) return true;
  return false;
}

constexpr std::string_view kNoFolder = "Folder does not exist: ";

}  // namespace

void show_problems(Session& s, const config::Loaded& loaded) {
  for (const auto& problem : loaded.problems) {
    if (!s.pm2) {
      s.complain((problem.fatal ? "" : "warning: ") + problem.message);
    } else if (problem.pm2_text.empty()) {
      continue;
    } else if (problem.fatal && !refused_value(problem.pm2_text)) {
      s.complain(problem.pm2_text);
    } else if (problem.pm2_text.starts_with(kNoFolder)) {
      s.complain_raw(pm2::warn(problem.pm2_text, s.colour_err()));
      s.say(pm2::plain("Creating folder: " + problem.pm2_text.substr(kNoFolder.size()), s.colour()));
    } else {
      s.say(pm2::warn(problem.pm2_text, s.colour()));
    }
  }
}

namespace {

Value env_for(const Session& s, bool from_file) {
  Value env = s.caller.env_value();
  if (s.pm2) {
    env.as<Map>()->set("PM2_HOME", s.home.dir);
    env.as<Map>()->set("PM2_USAGE", "CLI");
    if (from_file) env.as<Map>()->set("PM2_JSON_PROCESSING", "true");
  }
  return env;
}

Result<Value> ask_part(Session& s, List specs, bool from_file, std::string_view verb, Millis extra,
                       const Value& first, const Value& ids) {
  Map params{{"apps", std::move(specs)},        {"env", env_for(s, from_file)}, {"cwd", s.caller.cwd},
             {"cause", s.caller.cause()},       {"from_file", from_file},       {"force", s.args.force},
             {"update_env", s.args.update_env}, {"no_wait", s.args.no_wait},    {"verb", verb},
             {"parallel", s.args.parallel}};
  if (verb == "reload" && s.args.canary > 0) params.set("canary", s.args.canary);
  if (!ids.is_null()) params.set("ids", ids);
  for (const std::string_view key : {"floor", "unique_id"}) {
    if (!first.at(key).is_null()) params.set(std::string(key), first.at(key));
  }
  return s.ask(api::kStart, std::move(params), Need::started, extra);
}

}  // namespace

Result<Value> ask_start(Session& s, const std::vector<AppSpec>& apps, bool from_file, std::string_view verb,
                        const Value& ids) {
  Value first;
  List results;
  bool ok = true;
  for (std::size_t begin = 0; begin == 0 || begin < apps.size(); begin += api::kAppsPerRequest) {
    List specs;
    Millis extra{};
    for (std::size_t i = begin; i < std::min(apps.size(), begin + api::kAppsPerRequest); ++i) {
      specs.push_back(to_value(apps[i]));
      extra = verb == "reload" ? extra + Millis{replacing_takes(apps[i]).n * apps[i].instances}
                               : std::max(extra, apps[i].kill_timeout + apps[i].listen_timeout);
    }
    auto reply = ask_part(s, std::move(specs), from_file, verb, extra, first, ids);
    if (!reply) return reply;
    ok = ok && reply->at("ok").boolean();
    for (const Value& o : reply->at("results").list()) results.push_back(o);
    if (begin == 0) first = std::move(*reply);
  }
  first.as<Map>()->set("results", std::move(results));
  first.as<Map>()->set("ok", ok);
  return first;
}

namespace {

// Those that cannot start are among them (compat.md 2).
void say_not_running(Session& s, const StringList& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + printable(name);
  if (!names.empty()) s.say(pm2::warn("Applications " + text + " not running, starting...", s.colour()));
}

// PM2's report on the apps of a file: what ran before, then what is new.
bool show_file_start(Session& s, const Value& reply, std::string_view verb, const config::Loaded& asked) {
  std::vector<std::string> restarted, started;
  const auto add = [](std::vector<std::string>& names, const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  const List& results = reply.at("results").list();
  for (const Value& o : results)
    add(o.at("action").text() == "started" || o.at("action").text() == "added" ? started : restarted,
        o.at("name").text());
  for (const auto& name : restarted) {
    List ids, done;  // each once, though several apps of the file may have that name
    for (const Value& o : results) {
      if (o.at("name").text() != name || std::find(ids.begin(), ids.end(), o.at("id")) != ids.end()) continue;
      ids.push_back(o.at("id"));
      if (!pm2_failure(o)) done.push_back(o.at("id"));
    }
    s.say(pm2::applying(verb, name, ids, s.colour()));
    for (const Value& id : done) s.say(pm2::ticked(name, id.integer(), s.colour()));
  }
  StringList idle = asked.named;
  std::erase_if(idle, [&](const std::string& name) {
    return std::find(restarted.begin(), restarted.end(), name) != restarted.end();
  });
  say_not_running(s, idle);
  for (const AppSpec& spec : asked.apps) {
    if (std::find(started.begin(), started.end(), spec.name) == started.end()) continue;
    s.say(pm2::plain(
        "App [" + printable(spec.name) + "] launched (" + std::to_string(spec.instances) + " instances)",
        s.colour()));
  }
  bool good = true;
  for (const Value& o : results) {
    if (!pm2_failure(o)) continue;
    good = false;
    s.complain(printable(o.at("error").text()));
  }
  return good;
}

// `start 0`, `start all`, `start api`: what is managed already is restarted (compat.md 4.6).
// Nothing: the word means no app, so that it may be a script.
std::optional<bool> start_existing(Session& s, const std::string& word) {
  const bool plain = word.find('/') == std::string::npos && word.find('.') == std::string::npos &&
                     word.find(' ') == std::string::npos;
  if (!plain) return std::nullopt;
  auto known = s.ask(api::kList, Map{{"detail", "table"}, {"targets", List{word}}, {"cwd", s.caller.cwd}},
                     Need::started);
  if (!known) {
    s.fail(known.error());
    return false;
  }
  if (!known->at("missing").list().empty() || known->at("apps").list().empty()) {
    if (!is_digits(word) && word != "all") return std::nullopt;
    if (s.pm2)
      s.complain_raw(pm2::not_found("restart", word, s.colour_err()));
    else
      s.complain(not_found(s, word));
    return false;
  }
  auto reply = s.ask(api::kAct,
                     Map{{"verb", "restart"},
                         {"targets", List{word}},
                         {"cwd", s.caller.cwd},
                         {"cause", s.caller.cause()},
                         {"env", env_for(s, false)},
                         {"update_env", s.args.update_env},
                         {"changes", to_value(s.args.flags)},
                         {"no_wait", s.args.no_wait}},
                     Need::started, patience_for(s, List{word}));
  if (!reply) {
    s.fail(reply.error());
    return false;
  }
  const bool good = show_groups(s, "restart", *reply);
  if (good && s.pm2) s.say(pm2::plain("Process successfully started", s.colour()));
  return good;
}

// --write: a file of apps with what was given, as a beginning of one's own.
bool write_options(Session& s, const AppSpec& spec) {
  Map options = to_value(spec).map();
  for (const Value& resolved : options["resolved"].list()) options.erase(resolved.text());
  for (const char* key : {"resolved", "extra"}) options.erase(key);
  std::string name = spec.name;
  std::replace(name.begin(), name.end(), '/', '-');
  const std::string path = s.caller.cwd + "/" + name + "-pm2.json";
  s.say(s.pm2 ? pm2::plain("Writing configuration to " + printable(path), s.colour())
              : "options are written to " + printable(path) + "\n");
  const Status done = replace_file(path, ipc::to_json(Map{{"apps", List{options}}}, 2) + "\n");
  if (!done) s.fail(done.error());
  return done.has_value();
}

}  // namespace

bool start_loaded(Session& s, const config::Loaded& loaded) {
  show_problems(s, loaded);
  if (loaded.apps.empty() || (loaded.failed && !s.pm2)) return false;
  if (const Status up = s.connect(Need::started); !up) {
    s.fail(up.error());
    return false;
  }
  if (s.pm2) {
    for (const AppSpec& spec : loaded.apps) {
      s.say(pm2::plain("Starting " + printable(spec.script) + " in " + spec.exec_mode + "_mode (" +
                           std::to_string(spec.instances) + " instance" + (spec.instances > 1 ? "s)" : ")"),
                       s.colour()));
    }
  }
  if (s.args.has("write") && !write_options(s, loaded.apps[0])) return false;
  auto reply = ask_start(s, loaded.apps, false, "restart");
  if (!reply) {
    s.fail(reply.error());
    return false;
  }
  if (!s.pm2) return show_outcomes(s, *reply) && !loaded.failed;
  bool good = true;
  for (const Value& o : reply->at("results").list()) {
    if (!pm2_failure(o)) continue;
    good = false;
    const bool again = o.at("code").text() == "already_launched";
    s.complain(again ? "Script already launched, add -f option to force re-execution"
                     : printable(o.at("error").text()));
  }
  if (good) s.say(pm2::plain("Done.", s.colour()));
  return good && !loaded.failed;
}

bool start_file(Session& s, const std::string& path, std::string_view verb) {
  const config::Loaded loaded = config::load_file(path, s.context(), s.args.flags);
  show_problems(s, loaded);
  if (loaded.apps.empty() && s.pm2) say_not_running(s, loaded.named);
  if (loaded.apps.empty() && !loaded.failed && !s.pm2 && !s.context().only.empty()) {
    s.complain(printable(path) + ": --only names none of its apps");
    return false;
  }
  if (loaded.apps.empty()) return !loaded.failed;
  if (loaded.failed && !s.pm2) return false;
  auto reply = ask_start(s, loaded.apps, true, verb);
  if (!reply) {
    s.fail(reply.error());
    return false;
  }
  const bool good = s.pm2 ? show_file_start(s, *reply, verb, loaded) : show_outcomes(s, *reply);
  return good && !loaded.failed;
}

bool start_words(Session& s) {
  std::vector<std::string> words = s.args.words;
  if (words.empty()) words.push_back(default_file(s));
  bool good = true;
  for (const auto& word : words) {
    bool done = false;
    if (config::is_config_file(word, s.pm2)) {
      done = start_file(s, word, "restart");
    } else if (const auto existing = start_existing(s, word)) {
      done = *existing;
    } else {
      done = start_loaded(s, config::from_script(word, s.args.flags, s.context()));
    }
    good = good && done;
  }
  return good;
}

int start_command(Session& s) {
  const bool good = start_words(s);
  // A failure stands last on the screen.
  if (good) {
    if (const Status up = s.connect(Need::existing); up) show_list(s);
  }
  return s.status_of(good);
}

}  // namespace tend::cli
