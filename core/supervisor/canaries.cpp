#include "core/supervisor/canaries.h"

#include <algorithm>

#include "core/supervisor/supervisor.h"

namespace tend::supervisor {

using lifecycle::Phase;

namespace {
constexpr Millis kNoticeableLag{20};  // below it the double is noise
}

Canaries::Canaries(Supervisor& supervisor) : supervisor_(supervisor) {
  subscription_ = supervisor.bus().subscribe([this](const Record& r) { look_at(r); });
}

Instance* Canaries::of(const AppSpec& spec) const {
  for (Instance* app : supervisor_.group(spec)) {
    if (app->canary > 0 && !app->deleting) return app;
  }
  return nullptr;
}

Result<Instance*> Canaries::add(const std::vector<Instance*>& present, std::shared_ptr<const AppSpec> spec,
                                std::shared_ptr<const BaseEnv> env, int64_t percent, const Asked& asked) {
  if (percent < 1 || percent > 99)
    return fail("canary: found " + std::to_string(percent) + "; accepted: 1%..99%");
  const Instance& first = *present.front();
  if (!reloads_without_gap(*first.spec) || !reloads_without_gap(*spec))
    return fail("a canary needs an app in cluster mode, or one with listen");
  if (!same_group(*first.spec, *spec)) return fail("a canary needs the name of its app");
  if (const Instance* known = of(*spec)) {
    return fail("found a canary, id " + std::to_string(known->id) +
                "; accepted: one, to be promoted or taken back before the next");
  }
  const bool serves = std::any_of(present.begin(), present.end(),
                                  [](const Instance* app) { return app->state.phase == Phase::online; });
  if (!serves) return fail("no process is online that a canary could be compared with");
  auto own = std::make_shared<AppSpec>(*spec);
  own->instances = first.spec->instances;
  Instance& canary = supervisor_.add(std::move(own), env ? std::move(env) : first.base_env, first.identity,
                                     first.unique_id, asked, {.canary = static_cast<uint32_t>(percent)});
  supervisor_.start(canary, asked);
  return &canary;
}

void Canaries::promote(Instance& canary, std::size_t parallel, const Asked& asked, Done done) {
  std::vector<uint32_t> others;
  for (Instance* app : supervisor_.group(*canary.spec)) {
    if (app == &canary || app->deleting) continue;
    supervisor_.change(*app, canary.spec, canary.base_env);
    others.push_back(app->id);
  }
  supervisor_.rollouts().reload(group_of(*canary.spec), others, parallel, asked.text,
                                [this, id = canary.id, asked, done = std::move(done)](List outcomes) {
                                  const bool good =
                                      std::all_of(outcomes.begin(), outcomes.end(),
                                                  [](const Value& o) { return o.at("ok").boolean(); });
                                  if (!good) return done(std::move(outcomes));
                                  remove(id, asked, std::move(outcomes), done);
                                });
}

void Canaries::remove(uint32_t id, const Asked& asked, List before, Done done) {
  Instance* canary = supervisor_.find(id);
  if (canary == nullptr) return done(std::move(before));
  supervisor_.remove(*canary, asked, true);
  supervisor_.waiters().wait(
      {{id, Goal::removed, canary->state.spawn, false, "promoted"}},
      [this](uint32_t n) -> const Instance* { return supervisor_.find(n); },
      [before = std::move(before), done = std::move(done)](List after) mutable {
        std::move(after.begin(), after.end(), std::back_inserter(before));
        done(std::move(before));
      });
}

// One that ends by itself has failed its trial.
void Canaries::look_at(const Record& r) {
  if (r.app.canary == 0 || r.app.deleting) return;
  const bool failed = r.event == "exit" || r.app.state.phase == Phase::errored;
  if (!failed) return;
  fail_trial(r.app.id, why_it_failed(r.app));
}

void Canaries::stalled(const Instance& app) {
  if (app.canary > 0 && !app.deleting) fail_trial(app.id, "does not accept connections");
}

void Canaries::answered(const Instance& app) {
  if (app.canary == 0 || app.deleting) return;
  const auto lag = supervisor_.heartbeats().mean_lag(app);
  if (!lag || *lag < kNoticeableLag) return;
  Millis sum{0};
  int64_t known = 0;
  for (const Instance* other : supervisor_.group(*app.spec)) {
    const auto theirs = other == &app ? std::nullopt : supervisor_.heartbeats().mean_lag(*other);
    if (!theirs) continue;
    sum = sum + *theirs;
    ++known;
  }
  if (known == 0 || *lag < Millis{sum.n * 2 / known}) return;
  fail_trial(app.id, "its event loop lags by " + show(*lag) + ", that of the others by " +
                         show(Millis{sum.n / known}));
}

// Later: observers may not publish, and a removal does.
void Canaries::fail_trial(uint32_t id, const std::string& why) {
  supervisor_.parts().loop.defer([this, id, why] {
    Instance* canary = supervisor_.find(id);
    if (canary == nullptr || canary->deleting) return;
    supervisor_.parts().log.warn("App [" + canary->spec->name + ":" + std::to_string(id) +
                                 "] failed its trial and is taken back: " + why);
    supervisor_.remove(*canary, {"canary: " + why});
  });
}

}  // namespace tend::supervisor
