// act, signal, list.
#include <map>
#include <memory>

#include "core/model/api.h"
#include "core/model/env.h"
#include "core/supervisor/rpc.h"
#include "core/supervisor/rpc_answer.h"

namespace tend::supervisor {
namespace {

// --update-env under the name pm2: a variable that the caller has wins over the file's (compat.md 3.4).
std::shared_ptr<const AppSpec> without_variables(const AppSpec& spec, const Env& callers) {
  auto copy = std::make_shared<AppSpec>(spec);
  std::erase_if(copy->env, [&](const auto& entry) { return find_variable(callers, entry.first) != nullptr; });
  return copy;
}

void act(Daemon& daemon, const SharedCall& call) {
  Supervisor& supervisor = daemon.supervisor;
  const Value& params = call->params();
  const std::string& verb = params.at("verb").text();
  const Asked asked{params.at("cause").text()};
  Picked picked = pick(supervisor, params);
  std::shared_ptr<const BaseEnv> env;
  const bool starts = verb == "restart" || verb == "reload";
  if (starts && params.at("update_env").boolean()) env = supervisor.intern(env_from_value(params.at("env")));
  std::vector<Wish> wishes;
  Reloads reloads;
  List refused;
  List warnings;
  for (const uint32_t id : picked.ids) {
    Instance* app = supervisor.find(id);
    if (app == nullptr) continue;
    if (starts) {
      const bool toggles = params.at("toggle_watch").boolean();
      Map changes = params.at("changes").map();
      if (toggles) changes.set("watch", !is_watched(*app->spec));
      const bool has_changes = !changes.empty();
      auto spec = has_changes ? changed(*app->spec, changes)
                              : Result<std::shared_ptr<const AppSpec>>(app->spec);
      if (!spec) {
        refused.push_back(outcome(*app, "restarted", false, spec.error().message));
        picked.ok = false;
        continue;
      }
      if (env && supervisor.parts().home.pm2) spec = without_variables(**spec, env->env);
      if (has_changes || env) supervisor.change(*app, *spec, env);
      if (verb == "reload" && reloads_without_gap(*app->spec)) {
        reloads[group_of(*app->spec)].push_back(id);
        continue;
      }
      wishes.push_back(wish_of(*app, Goal::running, "restarted"));
      supervisor.restart(*app, lifecycle::Cause::user, asked);
    } else if (verb == "stop") {
      if (has_schedule(*app->spec)) {
        warnings.emplace_back("App " + app->spec->name + " stopped but CRON RESTART is still UP " +
                              app->spec->cron_restart);
      }
      if (is_watched(*app->spec)) {
        if (!supervisor.parts().home.pm2)
          warnings.emplace_back("App " + app->spec->name + " is watched no more; restart --watch turns it on again");
        supervisor.change(*app, *changed(*app->spec, Map{{"watch", false}}), nullptr);
      }
      wishes.push_back(wish_of(*app, Goal::stopped, "stopped"));
      supervisor.stop(*app, asked);
    } else if (verb == "delete") {
      wishes.push_back(wish_of(*app, Goal::removed, "deleted"));
      supervisor.remove(*app, asked);
    } else if (verb == "reset") {
      refused.push_back(outcome(*app, "reset", true));
      supervisor.reset(*app);
    } else {
      return call->error("unknown verb " + verb, 2);
    }
  }
  answer(supervisor, call, std::move(wishes),
         Map{{"groups", std::move(picked.groups)},
             {"results", std::move(refused)},
             {"warnings", std::move(warnings)}},
         picked.ok, reloads);
}

void send_signal(Daemon& daemon, const SharedCall& call) {
  Supervisor& supervisor = daemon.supervisor;
  const auto number = static_cast<int>(call->params().at("signal").integer());
  if (number <= 0 || number > 64)
    return call->error("signal: found " + std::to_string(number) + "; accepted: 1..64", 2);
  Picked picked = pick(supervisor, call->params());
  List results;
  for (const uint32_t id : picked.ids) {
    Instance* app = supervisor.find(id);
    const bool lives = app->main.pid > 0 && lifecycle::alive(app->state.phase);
    if (lives) supervisor.parts().keeper.signal(id, app->state.spawn, number);
    results.push_back(outcome(*app, "signalled", lives, lives ? "" : "not running"));
    picked.ok = picked.ok && lives;
  }
  call->reply(Map{{"groups", std::move(picked.groups)}, {"results", std::move(results)}, {"ok", picked.ok}});
}

// On Node's channel: the app's process.on('message').
void send_message(Daemon& daemon, const SharedCall& call) {
  Supervisor& supervisor = daemon.supervisor;
  Picked picked = pick(supervisor, call->params());
  List results;
  for (const uint32_t id : picked.ids) {
    Instance* app = supervisor.find(id);
    const bool said = lifecycle::alive(app->state.phase) &&
                      supervisor.workers().say(*app, app->state.spawn, call->params().at("message"));
    results.push_back(
        outcome(*app, "told", said, said ? "" : "has no channel: it does not run, or is no Node program"));
    picked.ok = picked.ok && said;
  }
  call->reply(Map{{"groups", std::move(picked.groups)}, {"results", std::move(results)}, {"ok", picked.ok}});
}

void list(Daemon& daemon, const SharedCall& call) {
  Supervisor& supervisor = daemon.supervisor;
  const Value& params = call->params();
  const std::string& word = params.at("detail").text();
  const Detail detail = word == "full" ? Detail::full : word == "brief" ? Detail::brief : Detail::table;
  const bool share = params.at("share_env").boolean() && detail == Detail::full;
  List apps;
  List missing;
  std::map<uint32_t, std::shared_ptr<const BaseEnv>> envs;
  const auto add = [&](const Instance& app) {
    if (share && app.base_env) envs.emplace(app.base_env->number, app.base_env);
    apps.push_back(row(supervisor, app, detail, share));
  };
  if (params.at("targets").is_null()) {
    apps.reserve(supervisor.instances().size());
    for (const auto& [id, app] : supervisor.instances()) add(*app);
  } else {
    const Picked picked = pick(supervisor, params);
    for (const uint32_t id : picked.ids) add(*supervisor.find(id));
    for (const Value& g : picked.groups) {
      if (!g.at("error").is_null()) missing.push_back(g.at("word"));
    }
  }
  List warnings;
  if (!supervisor.durable()) warnings.emplace_back("state not durable: the journal cannot be written");
  Map reply;  // not by braces: an initializer list would copy every row
  reply.append("apps", std::move(apps));
  reply.append("warnings", std::move(warnings));
  reply.append("missing", std::move(missing));
  if (share) {
    Map shared;
    for (const auto& [number, env] : envs) shared.append(std::to_string(number), env_to_value(env->env));
    reply.append("base_envs", std::move(shared));
  }
  call->reply(std::move(reply));
}

constexpr Method kMethods[] = {
    {api::kAct, act}, {api::kSignal, send_signal}, {api::kMessage, send_message}, {api::kList, list}};

}  // namespace

std::span<const Method> app_methods() { return kMethods; }

}  // namespace tend::supervisor
