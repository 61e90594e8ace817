// Restarts that the clock and the memory limit ask for.
#include "core/supervisor/schedules.h"

#include <algorithm>

#include "core/base/file.h"
#include "core/lifecycle/cron.h"
#include "core/loop/work.h"
#include "core/supervisor/supervisor.h"

namespace tend::supervisor {
namespace {

using lifecycle::Phase;

constexpr Millis kMemoryPeriod{1000};
constexpr uint32_t kTreeEvery =
    5;  // periods: a tree is found by a walk through /proc where there is no cgroup
constexpr Millis kMemoryGrace{10000};  // an app that is always above its limit is not restarted each second
constexpr Millis kCronLook{60000};     // the wall clock may be set meanwhile
constexpr int64_t kNear = 7200;        // seconds
constexpr std::size_t kAtOnce = 2;     // of a cluster that is reloaded
constexpr int64_t kCaughtUp = 60;      // seconds: how old a tick may be that a predecessor did not come to

Result<lifecycle::Zone> load_zone(const std::string& name) {
  const std::string path = "/usr/share/zoneinfo/" + name;
  const auto text = read_file(path);
  if (!text) return tl::unexpected(text.error());
  auto zone = lifecycle::Zone::parse(*text);
  if (!zone) return fail(path + ": " + zone.error().message);
  return zone;
}

bool in_a_restart(const Instance& app) {
  const Phase phase = app.state.phase;
  return app.state.wanted &&
         (phase == Phase::launching || phase == Phase::stopping || phase == Phase::sweeping);
}

// A successor first, where that can be.
bool reloads(const Instance& app) {
  return app.seat && app.state.phase == Phase::online && reloads_without_gap(*app.spec);
}

}  // namespace

bool has_schedule(const AppSpec& spec) { return !spec.cron_restart.empty() && spec.cron_restart != "0"; }

struct Schedules::Job {
  std::string name, pattern_text;
  CronPattern pattern;
  std::shared_ptr<const lifecycle::Zone> zone;  // null: local
  int64_t at = 0;                               // epoch seconds of the next tick
  bool taken_over = false;
  std::unique_ptr<loop::Timer> timer;
};

Schedules::Key Schedules::key_of(const AppSpec& spec) {
  return {group_of(spec), spec.cron_restart + '\0' + spec.cron_timezone};
}

std::vector<Instance*> Schedules::instances(const Key& key) const {
  std::vector<Instance*> found;
  for (const auto& [id, app] : supervisor_.instances()) {
    if (!app->deleting && has_schedule(*app->spec) && key_of(*app->spec) == key) found.push_back(app.get());
  }
  return found;
}

void Schedules::settle() {
  if (std::exchange(settling_, true)) return;
  supervisor_.parts().loop.defer([this] {
    settling_ = false;
    follow();
  });
}

void Schedules::follow() {
  std::map<Key, const Instance*> wanted;
  for (const auto& [id, app] : supervisor_.instances()) {
    if (!app->deleting && has_schedule(*app->spec)) wanted.emplace(key_of(*app->spec), app.get());
  }
  for (auto it = jobs_.begin(); it != jobs_.end();) {
    if (wanted.erase(it->first) != 0) {
      ++it;
      continue;
    }
    supervisor_.parts().log.info("Deregistering a cron job on: " + it->second->name);
    it = jobs_.erase(it);
  }
  for (const auto& [key, app] : wanted) begin(key, *app);
  takes_over_ = false;
}

void Schedules::begin(const Key& key, const Instance& app) {
  auto pattern = parse_cron(app.spec->cron_restart);
  if (!pattern) return;  // refused before it came here
  auto job = std::make_shared<Job>();
  job->name = app.spec->name;
  job->pattern_text = app.spec->cron_restart;
  job->pattern = std::move(*pattern);
  job->taken_over = takes_over_;
  job->timer = std::make_unique<loop::Timer>(supervisor_.parts().loop, [this, key] { due(key); });
  jobs_[key] = job;
  supervisor_.parts().log.info("Registering a cron job on: " + job->name + " (" + job->pattern_text + ")");
  const std::string zone = job->pattern.zone.empty() ? app.spec->cron_timezone : job->pattern.zone;
  if (zone.empty()) return start(key, *job);
  read_zone(key, zone);
}

void Schedules::start(const Key& key, Job& job) {
  const int64_t now = supervisor_.parts().clock.wall().n / 1000;
  arm(job, now);
  if (std::exchange(job.taken_over, false)) catch_up(key, job, now);
}

// Whom the last tick has not reached: nothing has happened to it since.
void Schedules::catch_up(const Key& key, const Job& job, int64_t now) {
  int64_t tick = -1;
  for (auto next = lifecycle::next_due(job.pattern, now - kCaughtUp, job.zone.get()); next && *next <= now;
       next = lifecycle::next_due(job.pattern, *next, job.zone.get()))
    tick = *next;
  if (tick < 0) return;
  std::vector<Instance*> left = instances(key);
  std::erase_if(left, [tick](const Instance* app) {
    return in_a_restart(*app) || app->state.other.role != lifecycle::Other::Role::none ||
           std::max({app->created_wall, app->main.spawned_wall, app->exited_wall, app->cause_wall}) >=
               tick * 1000;
  });
  restart(key, std::move(left));
}

void Schedules::read_zone(const Key& key, const std::string& zone) {
  const auto ready = [this, key](std::shared_ptr<const lifecycle::Zone> known) {
    const auto it = jobs_.find(key);
    if (it == jobs_.end()) return;
    it->second->zone = std::move(known);
    start(key, *it->second);
  };
  if (const auto known = zones_.find(zone); known != zones_.end()) return ready(known->second);
  auto result = std::make_shared<Result<lifecycle::Zone>>(fail("not read"));
  loop::work(
      supervisor_.parts().loop, [result, zone] { *result = load_zone(zone); },
      [this, result, zone, key, ready, alive = std::weak_ptr<bool>(alive_)] {
        if (alive.expired()) return;
        if (*result) {
          zones_[zone] = std::make_shared<const lifecycle::Zone>(std::move(**result));
          return ready(zones_[zone]);
        }
        const std::string words =
            "cron_timezone: " + result->error().message + "; accepted a zone as Europe/Berlin";
        supervisor_.parts().log.error("no cron job: " + words);
        for (const Instance* app : instances(key)) supervisor_.tell(*app, "cron failed", words);
      });
}

void Schedules::arm(Job& job, int64_t after) {
  const auto next = lifecycle::next_due(job.pattern, after, job.zone.get());
  if (!next) return job.timer->stop();
  job.at = *next;
  job.timer->start(std::min(Millis{job.at * 1000 - supervisor_.parts().clock.wall().n}, kCronLook));
}

void Schedules::due(const Key& key) {
  const auto it = jobs_.find(key);
  if (it == jobs_.end()) return;
  const std::shared_ptr<Job> job = it->second;
  const int64_t now = supervisor_.parts().clock.wall().n / 1000;
  const bool tick = now >= job->at;
  // The wall clock was set back, or a look comes between: a tick that is near stays, or one would come twice.
  const bool near = !tick && job->at - now <= kNear;
  arm(*job, near ? job->at - 1 : now);
  if (tick) restart(key, instances(key));
}

// All instances are one app: a cluster is reloaded, the rest restarted, and what is stopped is started.
void Schedules::restart(const Key& key, std::vector<Instance*> apps) {
  std::vector<uint32_t> ids;
  std::string text;
  for (Instance* app : apps) {
    text = "cron " + app->spec->cron_restart;
    if (in_a_restart(*app)) {
      supervisor_.tell(*app, "cron skipped", "it is being restarted");
    } else if (reloads(*app)) {
      ids.push_back(app->id);
    } else {
      supervisor_.restart(*app, lifecycle::Cause::cron, {text});
    }
  }
  if (!ids.empty())
    supervisor_.rollouts().reload(
        key.first, ids, kAtOnce, text, [](const List&) {}, lifecycle::Cause::cron);
}

void Supervisor::reload_settings(std::function<void(std::string)> done) {
  m_.rotation.reload([this, done = std::move(done)](std::string problem) {
    for (const auto& [id, app] : table_) executor_.set_rotation(*app);
    done(std::move(problem));
  });
}

void Supervisor::watch_memory() {
  memory_watched_ = false;
  const bool trees = memory_looks_++ % kTreeEvery == 0;
  const Millis now = m_.clock.now();
  for (const auto& [id, app] : table_) {
    const int64_t limit = app->spec->max_memory_restart.n;
    if (limit <= 0) continue;
    memory_watched_ = true;
    const bool tree = app->spec->memory_scope == "tree";
    if (app->state.phase != Phase::online || (tree && !trees)) continue;
    if (app->state.cause == lifecycle::Cause::memory && now - app->state.since < kMemoryGrace) continue;
    int64_t memory = proc_.look(app->main.pid, now).memory;
    if (tree) {
      for (const int pid : m_.tree.members({id, app->state.spawn, app->main.pid}))
        if (pid != app->main.pid) memory += metrics::ProcTable().look(pid, now).memory;
    }
    if (memory <= limit) continue;
    m_.log.warn("App [" + app->spec->name + ":" + std::to_string(id) +
                "] restarted because it exceeds max_memory_restart (current_memory=" +
                std::to_string(memory) + " max_memory_limit=" + std::to_string(limit) + " [octets])");
    const Asked asked{"memory " + std::to_string(memory) + " > " + std::to_string(limit)};
    if (app->state.other.role != lifecycle::Other::Role::none) continue;  // it is being replaced
    reloads(*app) ? reload(*app, asked, lifecycle::Cause::memory)
                  : restart(*app, lifecycle::Cause::memory, asked);
  }
  // No option asks for it: no wake-up.
  memory_watched_ ? memory_timer_.start(kMemoryPeriod) : memory_timer_.stop();
}

}  // namespace tend::supervisor
