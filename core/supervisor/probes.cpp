#include "core/supervisor/probes.h"

#include <cstdlib>

#include "core/base/helper_linux.h"
#include "core/base/text.h"
#include "core/loop/work.h"
#include "core/model/env.h"
#include "core/supervisor/spawn_plan.h"
#include "core/supervisor/supervisor.h"

namespace tend::supervisor {
namespace {

using lifecycle::Phase;
using Finding = lifecycle::ProbeState::Finding;

// A process that gets ready is asked more often: its clients wait.
constexpr Millis kLaunching{200};

std::optional<uint16_t> port_of(const AppSpec& spec, const Env& env) {
  if (spec.port > 0) return static_cast<uint16_t>(spec.port);
  const std::string* value = find_variable(env, "PORT");
  if (value == nullptr || !is_digits(*value)) return std::nullopt;
  const long n = std::strtol(value->c_str(), nullptr, 10);
  return n > 0 && n <= 65535 ? std::optional(static_cast<uint16_t>(n)) : std::nullopt;
}

}  // namespace

struct Probes::Probed {
  Key key;
  uint32_t number = 0;
  bool known = false;  // `request` is whole
  bool apart = true;   // an answer is this process' own, and no other worker's
  health::ProbeRequest request;
  lifecycle::ProbeState state;
  std::string text;  // of the last answer
};

bool ready_by_probe(const AppSpec& spec) { return !spec.probe.empty() && spec.probe_for != "liveness"; }

Probes::Probes(Supervisor& supervisor)
    : supervisor_(supervisor),
      runner_(supervisor.parts().loop, supervisor.parts().log, helper_program("tend-probe")),
      timer_(supervisor.parts().loop, [this] { tick(); }) {}

Probes::~Probes() = default;

Probes::Probed* Probes::find(const Key& key) {
  const auto it = probed_.find(key);
  return it == probed_.end() ? nullptr : it->second.get();
}

// The port and the environment of a command may be in a file.
void Probes::joined(const Instance& app, uint32_t spawn) {
  if (app.spec->probe.empty() || !app.seat) return;
  const Key key{app.id, spawn};
  auto p = std::make_unique<Probed>();
  p->key = key;
  p->number = next_number_++;
  probed_[key] = std::move(p);
  auto env = std::make_shared<Env>();
  loop::work(
      supervisor_.parts().loop,
      [env, in = plan_input(supervisor_.parts().home, app)] {
        if (auto made = environment(in)) *env = std::move(*made);
      },
      [this, key, env] { begin(key, *env); });
}

void Probes::begin(const Key& key, const Env& env) {
  Probed* p = find(key);
  const Instance* app = supervisor_.find(key.first);
  if (p == nullptr || app == nullptr) return;
  const AppSpec& spec = *app->spec;
  auto target = parse_probe(spec.probe);
  if (target) target = with_port(*target, port_of(spec, env));
  auto status = parse_probe_status(spec.probe_status);
  if (!target || !status) {
    supervisor_.parts().log.error("App [" + spec.name + ":" + std::to_string(app->id) +
                                  "] is not probed: " + (target ? status.error() : target.error()).message);
    probed_.erase(key);
    return;
  }
  p->request.target = std::move(*target);
  p->request.timeout = spec.probe_timeout;
  p->request.status = std::move(*status);
  p->request.match = spec.probe_match;
  if (p->request.target.kind == ProbeTarget::Kind::exec) {
    for (const auto& [name, value] : env) {
      // Not TEND_ID: the command is none of the app's processes.
      if (!is_private(name) && name != "TEND_ID") p->request.env.push_back(name + "=" + value);
    }
    p->request.cwd = spec.cwd;
    p->request.uid = app->identity.uid;
    p->request.gid = app->identity.gid;
    p->request.groups = app->identity.groups;
  }
  p->known = true;
  p->state = lifecycle::begin_probes(supervisor_.parts().clock.now(), policy_of(*app));
  sleep_until_due();
}

void Probes::ended(uint32_t id, uint32_t spawn) {
  const auto it = probed_.find({id, spawn});
  if (it == probed_.end()) return;
  runner_.cancel(it->second->number);
  probed_.erase(it);
}

lifecycle::ProbePolicy Probes::policy_of(const Instance& app) const {
  const AppSpec& spec = *app.spec;
  const bool launching = app.state.phase == Phase::launching && ready_by_probe(spec);
  return {launching ? std::min(spec.probe_interval, kLaunching) : spec.probe_interval, spec.probe_delay,
          static_cast<uint32_t>(spec.probe_failures), static_cast<uint32_t>(spec.probe_successes)};
}

void Probes::sleep_until_due() {
  Millis first{-1};
  for (const auto& [key, p] : probed_) {
    if (!p->known) continue;
    const Millis due = lifecycle::next_probe(p->state);
    if (due.n >= 0 && (first.n < 0 || due < first)) first = due;
  }
  if (first.n < 0) return timer_.stop();
  timer_.start(std::max(Millis{0}, first - supervisor_.parts().clock.now()));
}

void Probes::tick() {
  const Millis now = supervisor_.parts().clock.now();
  for (const auto& [key, p] : probed_) {
    if (p->known && lifecycle::may_ask(p->state, now)) ask(*p, now);
  }
  sleep_until_due();
}

void Probes::ask(Probed& p, Millis now) {
  const Instance* app = supervisor_.find(p.key.first);
  const bool serves = app != nullptr && app->state.spawn == p.key.second && app->state.executed &&
                      (app->state.phase == Phase::online || app->state.phase == Phase::launching);
  if (!serves) {  // later: it may be the one that serves again
    p.state.due = now + kLaunching;
    return;
  }
  p.apart = supervisor_.workers().tell_apart(*app, p.key.second, p.request);
  p.state = lifecycle::asked(p.state, now);
  runner_.run(p.number, p.request,
              [this, key = p.key](const health::ProbeResult& result) { answered(key, result); });
}

void Probes::answered(const Key& key, const health::ProbeResult& result) {
  Probed* p = find(key);
  Instance* app = supervisor_.find(key.first);
  if (p == nullptr || app == nullptr) return;
  using Outcome = health::ProbeResult::Outcome;
  const auto answer = result.outcome == Outcome::ok       ? lifecycle::ProbeAnswer::ok
                      : result.outcome == Outcome::failed ? lifecycle::ProbeAnswer::failed
                                                          : lifecycle::ProbeAnswer::unknown;
  const Finding before = p->state.finding;
  p->state = lifecycle::answered(p->state, answer, supervisor_.parts().clock.now(), policy_of(*app));
  p->text = result.text;
  sleep_until_due();
  if (app->state.spawn != key.second) return;
  if (app->state.phase == Phase::launching) {
    if (lifecycle::is_ready(p->state) && ready_by_probe(*app->spec))
      supervisor_.workers().probed_ready(key.first, key.second);
    return;
  }
  if (app->state.phase != Phase::online || p->state.finding == before) return;
  if (before == Finding::unwell) supervisor_.tell(*app, "probe ok", result.text);
  if (lifecycle::is_unwell(p->state)) unwell(*app, *p);
}

void Probes::unwell(Instance& app, const Probed& p) {
  const AppSpec& spec = *app.spec;
  const std::string words = spec.probe + ": " + p.text + ", " + std::to_string(spec.probe_failures) +
                            " times in a row" +
                            (p.apart ? "" : "; workers cannot be told apart, so none is replaced");
  supervisor_.tell(app, "probe failed", words);
  if (spec.probe_for == "readiness" || spec.probe_action == "report" || !p.apart) return;
  const Asked asked{"probe " + words};
  if (spec.probe_action == "reload" && reloads_without_gap(spec)) return supervisor_.reload(app, asked);
  supervisor_.restart(app, lifecycle::Cause::probe, asked);
}

Value Probes::view(const Instance& app) const {
  const auto it = probed_.find({app.id, app.state.spawn});
  if (it == probed_.end() || it->second->text.empty()) return {};
  const lifecycle::ProbeState& s = it->second->state;
  std::string word = "ok";
  if (lifecycle::is_unwell(s)) {
    word = "probe failed";
  } else if (s.missed > 0) {
    word = "probe " + std::to_string(s.missed) + "/" + std::to_string(app.spec->probe_failures);
  }
  return Map{{"word", word}, {"text", it->second->text}};
}

}  // namespace tend::supervisor
