// canary: a new version on trial.
#include <algorithm>

#include "core/model/api.h"
#include "core/supervisor/rpc.h"
#include "core/supervisor/rpc_answer.h"

namespace tend::supervisor {
namespace {

void begin(Supervisor& supervisor, const SharedCall& call, const std::vector<Instance*>& present) {
  const Value& params = call->params();
  const Instance& first = *present.front();
  auto spec = changed(*first.spec, params.at("changes"));
  if (!spec) return call->error(spec.error().message);
  const bool update = params.at("update_env").boolean();
  auto canary = supervisor.canaries().add(
      present, std::move(*spec), update ? supervisor.intern(env_from_value(params.at("env"))) : nullptr,
      params.at("percent").integer(), {params.at("cause").text()});
  if (!canary) return call->error(first.spec->name + ": " + canary.error().message);
  answer(supervisor, call, {wish_of(**canary, Goal::running, "on trial")}, {}, true);
}

void canary(Daemon& daemon, const SharedCall& call) {
  Supervisor& supervisor = daemon.supervisor;
  const Value& params = call->params();
  const std::string& verb = params.at("verb").text();
  auto found = one_app(supervisor, params, verb);
  if (!found) return call->error(found.error().message, found.error().code);
  const std::vector<Instance*>& present = *found;
  if (verb == "begin") return begin(supervisor, call, present);
  const AppSpec& spec = *present.front()->spec;
  Instance* tried = supervisor.canaries().of(spec);
  if (tried == nullptr) return call->error(verb + ": " + spec.name + " has no canary");
  const Asked asked{params.at("cause").text()};
  if (verb == "rollback") {
    const Wish gone = wish_of(*tried, Goal::removed, "taken back");
    supervisor.remove(*tried, asked, true);
    return answer(supervisor, call, {gone}, {}, true);
  }
  if (verb == "promote") {
    const auto parallel = static_cast<std::size_t>(std::max<int64_t>(params.at("parallel").integer(2), 1));
    return supervisor.canaries().promote(*tried, parallel, asked, [&supervisor, call](List outcomes) {
      const bool ok =
          std::all_of(outcomes.begin(), outcomes.end(), [](const Value& o) { return o.at("ok").boolean(); });
      answer(supervisor, call, {}, Map{{"results", std::move(outcomes)}}, ok);
    });
  }
  call->error("unknown verb " + verb, 2);
}

constexpr Method kMethods[] = {{api::kCanary, canary}};

}  // namespace

std::span<const Method> canary_methods() { return kMethods; }

}  // namespace tend::supervisor
