// canary: a new version on trial.
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
  const auto percent = params.at("percent").integer();
  if (percent < 1 || percent > 99)
    return call->error("canary: found " + std::to_string(percent) + "; accepted: 1%..99%");
  const bool update = params.at("update_env").boolean();
  auto wish = supervisor.canaries().add(
      present, std::move(*spec), update ? supervisor.intern(env_from_value(params.at("env"))) : nullptr,
      static_cast<uint32_t>(percent), {params.at("cause").text()});
  if (!wish) return call->error(first.spec->name + ": " + wish.error().message);
  answer(supervisor, call, {std::move(*wish)}, {}, true);
}

void canary(Daemon& daemon, const SharedCall& call) {
  Supervisor& supervisor = daemon.supervisor;
  const Value& params = call->params();
  const std::string& verb = params.at("verb").text();
  const Picked picked = pick(supervisor, params);
  if (!picked.ok) return call->error(picked.groups.front().at("error").text(), ESRCH);
  std::vector<Instance*> present;
  for (const uint32_t id : picked.ids) {
    Instance* app = supervisor.find(id);
    if (!present.empty() && !same_group(*app->spec, *present.front()->spec)) {
      return call->error(verb + ": found apps " + present.front()->spec->name + " and " + app->spec->name +
                         "; accepted: one app");
    }
    present.push_back(app);
  }
  if (present.empty()) return call->error(verb + ": no such app", ESRCH);
  if (verb == "begin") return begin(supervisor, call, present);
  const AppSpec& spec = *present.front()->spec;
  Instance* tried = supervisor.canaries().of(spec);
  if (tried == nullptr) return call->error(verb + ": " + spec.name + " has no canary");
  const Asked asked{params.at("cause").text()};
  const auto done = [&supervisor, call](List outcomes) {
    bool ok = true;
    for (const Value& o : outcomes) ok = ok && o.at("ok").boolean();
    supervisor.flush([call, ok, outcomes = std::move(outcomes)](bool) mutable {
      call->reply(Map{{"results", std::move(outcomes)}, {"ok", ok}});
    });
  };
  if (verb == "promote") {
    const auto parallel = static_cast<std::size_t>(std::max<int64_t>(params.at("parallel").integer(2), 1));
    return supervisor.canaries().promote(*tried, parallel, asked, done);
  }
  if (verb == "rollback") return supervisor.canaries().take_back(*tried, asked, done);
  call->error("unknown verb " + verb, 2);
}

constexpr Method kMethods[] = {{api::kCanary, canary}};

}  // namespace

std::span<const Method> canary_methods() { return kMethods; }

}  // namespace tend::supervisor
