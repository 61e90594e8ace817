// environment: what an app's next process gets, and where each variable comes from.
#include "core/loop/work.h"
#include "core/model/api.h"
#include "core/supervisor/rpc.h"
#include "core/supervisor/rpc_answer.h"
#include "core/supervisor/spawn_plan.h"

namespace tend::supervisor {
namespace {

std::string origin(const PlanInput& in, Layer::From from, const std::string& name) {
  const AppSpec& spec = *in.spec;
  switch (from) {
    case Layer::From::caller:
      return "caller";
    case Layer::From::python:
      return "tend";
    case Layer::From::env_file:
      return "env_file " + spec.env_file;
    case Layer::From::env: {
      const std::string& other = spec.origins.at(name).text();
      return other.empty() ? "env" : other;
    }
    case Layer::From::tend:
      break;
  }
  if (name == spec.increment_var && in.increment >= 0) return "increment_var";
  return name == spec.instance_var ? "instance_var" : "tend";
}

Value described(const PlanInput& in) {
  Map answer{{"id", in.id}, {"name", in.spec->name}};
  auto layers = environment_layers(in);
  if (!layers) {
    answer.set("error", layers.error().message);
    return answer;
  }
  Map variables;
  for (const Layer& layer : *layers) {
    for (const auto& [name, value] : layer.env)
      variables.set(name, Map{{"name", name}, {"value", value}, {"from", origin(in, layer.from, name)}});
  }
  List list;
  for (auto& [name, variable] : variables) list.push_back(std::move(variable));
  answer.set("variables", std::move(list));
  return answer;
}

void environment_of(Daemon& daemon, const SharedCall& call) {
  Supervisor& supervisor = daemon.supervisor;
  Picked picked = pick(supervisor, call->params());
  auto inputs = std::make_shared<std::vector<PlanInput>>();
  for (const uint32_t id : picked.ids)
    inputs->push_back(plan_input(supervisor.parts().home, *supervisor.find(id)));
  List missing;
  for (const Value& group : picked.groups)
    if (!group.at("error").is_null()) missing.push_back(group.at("word"));
  auto apps = std::make_shared<List>();
  loop::work(
      supervisor.parts().loop,
      [inputs, apps] {
        for (const PlanInput& in : *inputs) apps->push_back(described(in));
      },
      [call, apps, missing = std::move(missing)]() mutable {
        call->reply(Map{{"apps", std::move(*apps)}, {"missing", std::move(missing)}});
      });
}

constexpr Method kMethods[] = {{api::kEnvironment, environment_of}};

}  // namespace

std::span<const Method> environment_methods() { return kMethods; }

}  // namespace tend::supervisor
