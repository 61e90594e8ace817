// Instances as journal records, and the names of events.
#include "core/base/match.h"
#include "core/model/options.h"
#include "core/supervisor/policy.h"
#include "core/supervisor/supervisor.h"

namespace tend::supervisor {

using lifecycle::Phase;

namespace {
constexpr int64_t kNoSeat = -1;
}

Value env_to_value(const Env& env) {
  Map m;
  for (const auto& [name, value] : env) m.append(name, value);
  return m;
}

Env env_from_value(const Value& v) {
  Env env;
  for (const auto& [name, value] : v.map()) env.emplace_back(name, value.text());
  return env;
}

Value record_of(const Instance& app) {
  List groups;
  for (const uint32_t g : app.identity.groups) groups.emplace_back(g);
  Map m;
  m.append("spec", to_value(*app.spec));
  m.append("env", app.base_env ? Value(app.base_env->number) : Value());
  m.append("slot", app.slot);
  m.append("seat", app.seat ? static_cast<int64_t>(*app.seat) : kNoSeat);
  if (app.main.second) m.append("second_socket", true);
  if (app.canary > 0) m.append("canary", app.canary);
  if (!app.waiting.is_null()) m.append("waiting", app.waiting);
  m.append("increment", app.increment);
  m.append("unique_id", app.unique_id);
  m.append("started_by", app.started_by);
  m.append("uid", app.identity.uid);
  m.append("gid", app.identity.gid);
  m.append("groups", std::move(groups));
  m.append("home", app.identity.home);
  return m;
}

Result<std::unique_ptr<Instance>> instance_of(uint32_t id, const Value& body) {
  auto spec = spec_from_value(body.at("spec"));
  if (!spec) return tl::unexpected(spec.error());
  auto app = std::make_unique<Instance>();
  app->id = id;
  app->slot = static_cast<uint32_t>(body.at("slot").integer());
  const int64_t seat = body.at("seat").integer(app->slot);
  if (seat != kNoSeat) app->seat = static_cast<uint32_t>(seat);
  app->main.second = body.at("second_socket").boolean();
  app->canary = static_cast<uint32_t>(body.at("canary").integer());
  app->waiting = body.at("waiting");
  app->increment = body.at("increment").integer(-1);
  app->unique_id = body.at("unique_id").text();
  app->started_by = body.at("started_by").text();
  app->identity.uid = static_cast<int32_t>(body.at("uid").integer(-1));
  app->identity.gid = static_cast<int32_t>(body.at("gid").integer(-1));
  for (const Value& g : body.at("groups").list())
    app->identity.groups.push_back(static_cast<uint32_t>(g.integer()));
  app->identity.home = body.at("home").text();
  app->policy = policy_of(*spec, app->canary > 0);
  app->spec = std::make_shared<const AppSpec>(std::move(*spec));
  return app;
}

std::string_view event_name(const lifecycle::Event& event, const lifecycle::State& from,
                            const lifecycle::State& to) {
  if (std::holds_alternative<lifecycle::Reset>(event)) return "reset";
  if (to.reloads > from.reloads) return "reload";
  if (to.failed_reloads > from.failed_reloads) return "reload failed";
  if (to.other.role != from.other.role) {
    if (to.other.role == lifecycle::Other::Role::serving) return "reloading";
    if (to.other.role == lifecycle::Other::Role::none && to.phase == from.phase) return "replaced";
  }
  if (const auto* exit = std::get_if<lifecycle::Exited>(&event); exit != nullptr && !(from == to))
    return exit->spawn == from.other.spawn ? std::string_view()
                                           : "exit";  // of a replaced one its end is told
  if (from.phase == to.phase && from.spawn == to.spawn) return {};
  switch (to.phase) {
    case Phase::launching:
      return to.restarts > from.restarts ? "restart" : "start";
    case Phase::online:
      return "online";
    case Phase::stopping:
      return "stopping";
    case Phase::stopped:
      return "stop";
    case Phase::waiting:
      return "waiting restart";
    case Phase::errored:
      return "restart overlimit";
    case Phase::sweeping:
      return "exit";
  }
  return {};
}

}  // namespace tend::supervisor
