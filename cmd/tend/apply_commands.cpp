// apply and diff: from what runs to what a file says, and nothing more.
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "cmd/render/difference.h"
#include "cmd/tend/command.h"
#include "cmd/tend/outcomes.h"
#include "cmd/tend/start_command.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "core/model/difference.h"
#include "core/model/options.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

using Kind = AppDifference::Kind;

int64_t written(const std::string& path) {
  struct stat st {};
  if (path.empty() || ::stat(path.c_str(), &st) != 0) return 0;
  return int64_t{st.st_mtim.tv_sec} * 1000 + st.st_mtim.tv_nsec / 1'000'000;
}

bool selected(const Session& s, const std::string& name) {
  const auto& only = s.args.only;
  return only.empty() || std::find(only.begin(), only.end(), name) != only.end();
}

// Instances of one app share name and script.
Result<std::vector<PresentApp>> present_apps(const Session& s, const List& rows) {
  std::vector<PresentApp> apps;
  std::map<std::string, std::size_t> places;
  for (const Value& row : rows) {
    const std::string& status = row.at("status").text();
    if (status == api::kStandby || row.at("canary").integer() > 0) continue;
    if (!selected(s, row.at("name").text())) continue;
    const Value& spec = row.at("spec");
    const std::string key =
        row.at("namespace").text() + '\n' + row.at("name").text() + '\n' + spec.at("script").text();
    const auto [place, fresh] = places.try_emplace(key, apps.size());
    if (fresh) {
      auto read = spec_from_value(spec);
      if (!read) return tl::unexpected(read.error());
      apps.emplace_back().spec = std::move(*read);
    }
    PresentApp& app = apps[place->second];
    const auto id = static_cast<uint32_t>(row.at("id").integer());
    app.ids.push_back(id);
    if (status == "stopped" || status == "errored" || status == "stopping") {
      app.down.push_back(id);
    } else if (const int64_t since = row.at("uptime").integer(); app.since == 0 || since < app.since) {
      app.since = since;
    }
  }
  return apps;
}

struct Plan {
  std::vector<WantedApp> wanted;
  std::vector<AppDifference> found;  // those that will be acted upon
  std::size_t kept = 0;              // apps that the file names no more, without --prune
};

// Error: told already.
tl::expected<Plan, int> make_plan(Session& s, const std::string& path) {
  config::Loaded loaded = config::load_file(path, s.context());
  show_problems(s, loaded);
  if (loaded.failed) return tl::unexpected<int>(kFailed);
  Plan plan;
  for (AppSpec& spec : loaded.apps) {
    const int64_t at = written(spec.env_file);
    plan.wanted.push_back({std::move(spec), at});
  }
  auto reply = s.ask(api::kList, Map{{"detail", "full"}, {"cwd", s.caller.cwd}}, Need::existing);
  if (!reply && !Session::no_daemon(reply.error())) return tl::unexpected<int>(s.fail(reply.error()));
  const auto present = present_apps(s, reply ? reply->at("apps").list() : List());
  if (!present) return tl::unexpected<int>(s.fail(present.error()));
  for (AppDifference& d : differences(*present, plan.wanted, config::source_of(path, s.context()))) {
    if (d.none()) continue;
    if (d.kind == Kind::removed && !s.args.has("prune")) {
      ++plan.kept;
      continue;
    }
    // Several apps of one name cannot be scaled by it.
    const auto same_name = [&](const WantedApp& w) { return w.spec.name == d.name; };
    const bool several = std::count_if(plan.wanted.begin(), plan.wanted.end(), same_name) > 1;
    if (several && d.before != d.after && d.kind != Kind::added && d.kind != Kind::removed)
      d.kind = Kind::recreated;
    plan.found.push_back(std::move(d));
  }
  return plan;
}

List values_of(const Session& s, const Plan& plan) {
  List list;
  for (const auto& d : plan.found) list.push_back(render::difference_value(d, s.args.show_secrets));
  return list;
}

void show_plan(Session& s, const Plan& plan) {
  for (const auto& d : plan.found) s.say(render::difference_text(d, s.args.show_secrets));
  if (plan.found.empty()) s.say("nothing to change\n");
  if (plan.kept > 0) {
    s.say(std::to_string(plan.kept) + (plan.kept == 1 ? " app is" : " apps are") +
          " in the file no more and kept; --prune deletes\n");
  }
}

List numbers(const std::vector<uint32_t>& ids) {
  List list;
  for (const uint32_t id : ids) list.emplace_back(id);
  return list;
}

class Applying {
 public:
  Applying(Session& s, const Plan& plan) : s_(s), plan_(plan) {}

  // What goes makes room first, what is new comes last.
  bool run() {
    std::vector<AppSpec> fresh;
    List names, gone;
    for (const auto& d : plan_.found) {
      if (d.kind == Kind::removed || d.kind == Kind::recreated) {
        names.emplace_back(d.name);
        for (const uint32_t id : d.ids) gone.emplace_back(id);
      }
      if (d.kind == Kind::added || d.kind == Kind::recreated) fresh.push_back(plan_.wanted[d.wanted].spec);
    }
    if (!gone.empty()) act("delete", std::move(gone), names);
    // Nothing is restarted that goes, and nothing is copied that is about to change.
    const auto kept = [](const AppDifference& d) { return d.kind == Kind::same || d.kind == Kind::changed; };
    for (const auto& d : plan_.found)
      if (kept(d) && d.before > d.after) scale(d);
    change();
    for (const auto& d : plan_.found) {
      if (!kept(d)) continue;
      if (d.before < d.after) scale(d);
      if (d.kind == Kind::same && !d.down.empty()) act("restart", numbers(d.down), {d.name});
    }
    if (!fresh.empty()) take(ask_start(s_, fresh, true, "restart", List{}));
    return good_;
  }
  List results() { return std::move(results_); }

 private:
  void take(Result<Value> reply) {
    if (!reply) {
      good_ = false;
      s_.fail(reply.error());
      return;
    }
    if (!s_.args.json) good_ = show_outcomes(s_, *reply) && good_;
    for (const Value& o : reply->at("results").list()) {
      good_ = good_ && o.at("ok").boolean();
      results_.push_back(o);
    }
  }

  void act(std::string_view verb, List ids, const List& names) {
    const Millis extra = patience_for(s_, names);
    take(s_.ask(api::kAct,
                Map{{"verb", verb},
                    {"ids", std::move(ids)},
                    {"cwd", s_.caller.cwd},
                    {"cause", s_.caller.cause()},
                    {"no_wait", s_.args.no_wait}},
                Need::existing, extra));
  }

  // In one request, but for apps that share a name: those are told apart by ids.
  void change() {
    std::vector<AppSpec> specs;
    List ids;
    const auto ask = [&] {
      if (!specs.empty()) take(ask_start(s_, specs, true, "reload", std::exchange(ids, {})));
      specs.clear();
    };
    for (const auto& d : plan_.found) {
      if (d.kind != Kind::changed) continue;
      if (std::any_of(specs.begin(), specs.end(), [&](const AppSpec& o) { return o.name == d.name; })) ask();
      specs.push_back(plan_.wanted[d.wanted].spec);
      for (const uint32_t id : d.ids) ids.emplace_back(id);
    }
    ask();
  }

  void scale(const AppDifference& d) {
    const Millis extra = patience_for(s_, {d.name}, true);
    take(s_.ask(api::kScale,
                Map{{"ids", numbers(d.ids)},
                    {"change", d.after},
                    {"relative", false},
                    {"cwd", s_.caller.cwd},
                    {"cause", s_.caller.cause()},
                    {"no_wait", s_.args.no_wait}},
                Need::existing, extra));
  }

  Session& s_;
  const Plan& plan_;
  bool good_ = true;
  List results_;
};

int diff(Session& s) {
  const std::string& path = s.args.words[0];
  const auto plan = make_plan(s, path);
  if (!plan) return s.exit_of(kUsage);
  if (s.args.json) {
    s.print(
        ipc::to_json(Map{
            {"file", path}, {"kept", static_cast<int64_t>(plan->kept)}, {"changes", values_of(s, *plan)}}) +
        "\n");
  } else {
    show_plan(s, *plan);
  }
  return plan->found.empty() ? kDone : kFailed;
}

int apply(Session& s) {
  const std::string& path = s.args.words[0];
  const auto plan = make_plan(s, path);
  if (!plan) return plan.error();
  if (!s.args.json) show_plan(s, *plan);
  Applying applying(s, *plan);
  const bool good = s.args.has("dry-run") || applying.run();
  if (s.args.json) {
    s.print(ipc::to_json(Map{{"file", path},
                             {"ok", good},
                             {"kept", static_cast<int64_t>(plan->kept)},
                             {"changes", values_of(s, *plan)},
                             {"results", applying.results()}}) +
            "\n");
  }
  return s.status_of(good);
}

constexpr CommandFlag kFlags[] = {
    {"--prune", "", "apply, diff: delete what the file had started and names no more."},
    {"--dry-run", "", "apply: only say what would be done."},
};

constexpr Command kCommands[] = {
    {"apply", "", "Files", "<file>",
     "Bring what runs to what the file says; what is the same stays untouched.", apply, 1, kFlags},
    {"diff", "", "Files", "<file>",
     "What apply would change; exits 0 for nothing, 1 for something, 2 on error.", diff, 1, kFlags},
};

}  // namespace

std::span<const Command> apply_commands() { return kCommands; }

}  // namespace tend::cli
