// start, scale.
#include <algorithm>
#include <random>

#include "core/loop/work.h"
#include "core/model/api.h"
#include "core/model/cron_pattern.h"
#include "core/model/env.h"
#include "core/model/options.h"
#include "core/supervisor/identity_linux.h"
#include "core/supervisor/rpc.h"
#include "core/supervisor/rpc_answer.h"

namespace tend::supervisor {
namespace {

constexpr std::size_t kMaxInstances = 20000;

// What one `start` call still has to do after its checks.
struct StartPlan {
  SharedCall call;
  std::vector<AppSpec> specs;
  std::vector<Identity> identities;
  std::string error;
};

std::vector<Instance*> named(Supervisor& supervisor, const std::string& name) {
  std::vector<Instance*> found;
  for (const auto& [id, app] : supervisor.instances()) {
    if (app->spec->name == name && !app->deleting) found.push_back(app.get());
  }
  return found;
}

// One `start` call under way.
struct Starting {
  Supervisor& supervisor;
  const Value& params;
  std::shared_ptr<const BaseEnv> env;
  std::string unique_id = fresh_unique_id();
  uint32_t floor = 0;  // instances from this id on came by this command: its apps do not meet each other
  std::vector<Wish> wishes{};
  List refused{};
  Reloads reloads{};
};

void start_one(Starting& s, AppSpec&& parsed, const Identity& identity) {
  auto& [supervisor, params, env, unique_id, floor, wishes, refused, reloads] = s;
  const Asked asked{params.at("cause").text()};
  const bool from_file = params.at("from_file").boolean();
  auto spec = std::make_shared<const AppSpec>(std::move(parsed));
  std::vector<Instance*> present = named(supervisor, spec->name);
  std::erase_if(present, [from = floor](const Instance* app) { return app->id >= from; });
  if (const auto* ids = params.at("ids").as<List>()) {
    std::erase_if(present, [ids](const Instance* app) {
      return std::none_of(ids->begin(), ids->end(),
                          [app](const Value& id) { return id.integer(-1) == app->id; });
    });
  }
  if (!from_file) {
    std::erase_if(present, [&](const Instance* app) { return app->spec->script != spec->script; });
    if (spec->force || params.at("force").boolean()) present.clear();
  }
  if (!present.empty()) {
    // One that is on its way out is to come back.
    const auto running =
        std::find_if(present.begin(), present.end(), [](const Instance* app) { return app->state.wanted; });
    if (!from_file && running != present.end()) {
      refused.push_back(outcome(**running, "started", false, "already launched, add -f to start another",
                                "already_launched"));
      return;
    }
    if (const int64_t percent = params.at("canary").integer(); percent != 0) {
      auto canary = supervisor.canaries().add(
          present, spec, params.at("update_env").boolean() ? env : nullptr, percent, asked);
      if (canary)
        wishes.push_back(wish_of(**canary, Goal::running, "on trial"));
      else
        refused.push_back(outcome(*present.front(), "started", false, canary.error().message, "canary"));
      return;
    }
    for (Instance* app : present) {
      auto copy = std::make_shared<AppSpec>(*spec);
      copy->instances = app->spec->instances;
      const bool gapless = params.at("verb").text() == "reload" && reloads_without_gap(*app->spec) &&
                           reloads_without_gap(*copy);
      // An app of a file that gives it no env gets the caller's under the name pm2, over what it had: a
      // restart there takes no variable of the environment from an app (compat.md 3.4).
      const bool no_env = copy->env.empty() || !copy->given[index_of(*find_option("env"))];
      auto base = params.at("update_env").boolean() ? env : nullptr;
      if (!base && from_file && supervisor.parts().home.pm2 && no_env)
        base = supervisor.intern(merged(app->base_env ? app->base_env->env : Env(), env->env));
      supervisor.change(*app, std::move(copy), std::move(base));
      if (gapless) {
        reloads[group_of(*app->spec)].push_back(app->id);
        continue;
      }
      wishes.push_back(wish_of(*app, Goal::running, "restarted"));
      supervisor.restart(*app, lifecycle::Cause::user, asked);
    }
    return;
  }
  const int64_t spares = is_worker(*spec) ? spec->spare : 0;
  for (int64_t i = 0; i < spec->instances + spares; ++i) {
    Instance& app = supervisor.add(spec, env, identity, unique_id, asked, {.spare = i >= spec->instances});
    if (!spec->autostart) {
      wishes.push_back(wish_of(app, Goal::stopped, "added"));
      continue;
    }
    wishes.push_back(wish_of(app, Goal::running, "started"));
    supervisor.start(app, asked);
  }
}

void start_checked(Daemon& daemon, const std::shared_ptr<StartPlan>& plan) {
  Supervisor& supervisor = daemon.supervisor;
  if (!plan->error.empty()) return plan->call->error(plan->error);
  const auto env = supervisor.intern(env_from_value(plan->call->params().at("env")));
  Starting starting{supervisor, plan->call->params(), env};
  // A long list comes in several requests; the first one's answer says where it began.
  starting.floor = static_cast<uint32_t>(starting.params.at("floor").integer(supervisor.next_id()));
  if (const std::string& known = starting.params.at("unique_id").text(); !known.empty())
    starting.unique_id = known;
  for (std::size_t i = 0; i < plan->specs.size(); ++i) {
    start_one(starting, std::move(plan->specs[i]), plan->identities[i]);
  }
  const bool ok = starting.refused.empty();
  answer(supervisor, plan->call, std::move(starting.wishes),
         Map{{"results", std::move(starting.refused)},
             {"floor", starting.floor},
             {"unique_id", starting.unique_id}},
         ok, starting.reloads);
}

void start(Daemon& daemon, const SharedCall& call) {
  auto plan = std::make_shared<StartPlan>();
  plan->call = call;
  std::size_t count = daemon.supervisor.instances().size();
  for (const Value& v : call->params().at("apps").list()) {
    auto spec = spec_from_value(v);
    if (!spec) return call->error(spec.error().message);
    if (spec->name.empty() || spec->script.empty() || spec->script.front() != '/')
      return call->error("an app without name or absolute script");
    if (!spec->cron_restart.empty() && spec->cron_restart != "0") {
      if (auto cron = parse_cron(spec->cron_restart); !cron)
        return call->error(spec->name + ": " + cron.error().message);
    }
    spec->instances = std::max<int64_t>(spec->instances, 1);
    if (spec->instances > static_cast<int64_t>(kMaxInstances) ||
        (count += static_cast<std::size_t>(spec->instances)) > kMaxInstances) {
      return call->error("more than " + std::to_string(kMaxInstances) + " instances");
    }
    plan->specs.push_back(std::move(*spec));
  }
  plan->identities.resize(plan->specs.size());
  const bool names = std::any_of(plan->specs.begin(), plan->specs.end(),
                                 [](const AppSpec& s) { return !s.uid.empty() || !s.gid.empty(); });
  if (!names) return start_checked(daemon, plan);
  loop::work(
      daemon.supervisor.parts().loop,
      [plan] {
        for (std::size_t i = 0; i < plan->specs.size(); ++i) {
          auto who = resolve_identity(plan->specs[i].uid, plan->specs[i].gid);
          if (!who) {
            plan->error = plan->specs[i].name + ": " + who.error().message;
            return;
          }
          plan->identities[i] = std::move(*who);
        }
      },
      [&daemon, plan] { start_checked(daemon, plan); });
}

// Copies of the lowest-numbered process, or an end of the highest-numbered; PM2 takes the oldest away.
void scale(Daemon& daemon, const SharedCall& call) {
  Supervisor& supervisor = daemon.supervisor;
  const Value& params = call->params();
  const Asked asked{params.at("cause").text()};
  auto found = one_app(supervisor, params, "scale");
  if (!found) return call->error(found.error().message, found.error().code);
  std::vector<Instance*>& present = *found;
  // What is not one of the app's number.
  std::erase_if(present, [](const Instance* app) { return !app->seat || app->canary > 0; });
  if (present.empty()) return call->error("scale: no such app", ESRCH);
  const auto have = static_cast<int64_t>(present.size());
  const int64_t change = params.at("change").integer();
  const int64_t want = params.at("relative").boolean() ? have + change : change;
  const auto others = static_cast<int64_t>(supervisor.instances().size()) - have;
  if (want < 1 || want > static_cast<int64_t>(kMaxInstances) - others) {
    return call->error("scale: found " + std::to_string(want) + " instances; accepted: 1.." +
                       std::to_string(static_cast<int64_t>(kMaxInstances) - others));
  }
  std::vector<Wish> wishes;
  // The number is a setting of each process; PM2 leaves it what the start had.
  if (!supervisor.parts().home.pm2) {
    for (Instance* app : present)
      if (auto spec = changed(*app->spec, Map{{"instances", want}})) supervisor.change(*app, *spec, nullptr);
  }
  const Instance& first = *present.front();
  const std::string unique_id = fresh_unique_id();
  // Those that were on their way out before, of a command that its supervisor did not outlive for one.
  for (const Instance* app : supervisor.group(*first.spec))
    if (app->deleting) wishes.push_back(wish_of(*app, Goal::removed, "deleted"));
  for (int64_t i = have; i < want; ++i) {
    Instance& app = supervisor.add(first.spec, first.base_env, first.identity, unique_id, asked);
    wishes.push_back(wish_of(app, Goal::running, "started"));
    supervisor.start(app, asked);
  }
  if (!supervisor.parts().home.pm2) {
    std::sort(present.begin(), present.end(), [](const auto* a, const auto* b) { return a->slot > b->slot; });
  }
  for (int64_t i = 0; i < have - want; ++i) {
    Instance& app = *present[static_cast<std::size_t>(i)];
    wishes.push_back(wish_of(app, Goal::removed, "deleted"));
    supervisor.remove(app, asked, true);
  }
  answer(supervisor, call, std::move(wishes), Map{{"before", have}, {"now", want}}, true);
}

constexpr Method kMethods[] = {{api::kStart, start}, {api::kScale, scale}};

}  // namespace

std::string fresh_unique_id() {
  std::random_device random;
  char text[37];
  std::snprintf(text, sizeof text, "%08x-%04x-4%03x-%04x-%08x%04x", random(), random() & 0xffff,
                random() & 0xfff, (random() & 0x3fff) | 0x8000, random(), random() & 0xffff);
  return text;
}

std::span<const Method> start_methods() { return kMethods; }

}  // namespace tend::supervisor
