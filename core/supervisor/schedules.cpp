// Restarts that the clock and the memory limit ask for.
#include <algorithm>

#include "core/lifecycle/cron.h"
#include "core/supervisor/supervisor.h"

namespace tend::supervisor {
namespace {

using lifecycle::Phase;

constexpr Millis kMemoryPeriod{1000};
constexpr Millis kCronLook{60000};  // the wall clock may be set meanwhile

}  // namespace

void Supervisor::arm_cron(Instance& app) {
  app.cron.reset();
  if (app.spec->cron_restart.empty() || app.spec->cron_restart == "0") return;
  const auto pattern = parse_cron(app.spec->cron_restart);
  if (!pattern) return;  // refused before it came here
  const int64_t now = m_.clock.wall().n;
  const auto due = lifecycle::next_due(*pattern, now / 1000);
  if (!due) return;
  app.cron = std::make_unique<loop::Timer>(m_.loop, [this, id = app.id, at = *due * 1000] {
    Instance* again = find(id);
    if (again == nullptr) return;
    if (m_.clock.wall().n >= at)
      restart(*again, lifecycle::Cause::cron, {"cron " + again->spec->cron_restart});
    m_.loop.defer([this, id] {  // not from the timer that arming replaces
      if (Instance* still = find(id)) arm_cron(*still);
    });
  });
  app.cron->start(std::min(Millis{*due * 1000 - now}, kCronLook));
}

void Supervisor::reload_settings(std::function<void(std::string)> done) {
  m_.rotation.reload([this, done = std::move(done)](std::string problem) {
    for (const auto& [id, app] : table_) executor_.set_rotation(*app);
    done(std::move(problem));
  });
}

void Supervisor::watch_memory() {
  memory_watched_ = false;
  for (const auto& [id, app] : table_) {
    const int64_t limit = app->spec->max_memory_restart.n;
    if (limit <= 0) continue;
    memory_watched_ = true;
    if (app->state.phase != Phase::online) continue;
    const int64_t memory = proc_.look(app->main.pid, m_.clock.now()).memory;
    if (memory <= limit) continue;
    m_.log.warn("App [" + app->spec->name + ":" + std::to_string(id) +
                "] restarted because it exceeds max_memory_restart (current_memory=" +
                std::to_string(memory) + " max_memory_limit=" + std::to_string(limit) + " [octets])");
    restart(*app, lifecycle::Cause::memory,
            {"memory " + std::to_string(memory) + " > " + std::to_string(limit)});
  }
  // No option asks for it: no wake-up.
  memory_watched_ ? memory_timer_.start(kMemoryPeriod) : memory_timer_.stop();
}

}  // namespace tend::supervisor
