// What the keeper tells of processes: to the machine, and back to the keeper that it was heard.
#include <algorithm>
#include <cstring>
#include <string>

#include "core/base/failpoint.h"
#include "core/supervisor/causes.h"
#include "core/supervisor/limits.h"
#include "core/supervisor/supervisor.h"

namespace tend::supervisor {

void Supervisor::on_report(keeper::Report r) {
  using keeper::Kind;
  Instance* app = find(r.id);
  Side* side = app == nullptr ? nullptr : side_of(*app, r.spawn);
  const bool ours = side != nullptr && r.kind != Kind::held;
  switch (r.kind) {
    case Kind::spawned:
    case Kind::spawn_pending:
      if (!ours) return unknown_process(r);
      failpoint("spawned.before");
      notices_.started(*app, r.spawn, static_cast<int>(r.a));
      if (r.kind == Kind::spawned) feed(r.id, lifecycle::Spawned{r.spawn});
      failpoint("spawned.fed");
      note(*app);
      failpoint("spawned.noted");
      break;
    case Kind::refused:  // nothing is known of it there, so nothing is to be acknowledged
      if (r.c != static_cast<int64_t>(Kind::spawn)) {
        m_.log.error("the keeper refused a request (" + std::to_string(r.c) +
                     "): " + std::strerror(static_cast<int>(r.a)));
        break;
      }
      r.b = 0;
      [[fallthrough]];
    case Kind::spawn_failed:
      failpoint("spawn_failed.before");
      if (ours) {
        app->error = spawn_error_text(*app, r);
        feed(r.id, lifecycle::SpawnFailed{r.spawn, for_want(static_cast<int>(r.a))});
      }
      failpoint("spawn_failed.fed");
      m_.keeper.ack(r.id, r.spawn);
      break;
    case Kind::exited:
      failpoint("exited.before");
      if (ours && notices_.lives_on(*app, r.spawn)) break;
      if (ours) {
        app->killer = killer_of(m_.tree, oom_, *app->spec, r.id, r.spawn, static_cast<int>(r.b));
      }
      if (ours) feed(r.id, lifecycle::Exited{r.spawn, static_cast<int32_t>(r.b)});
      if (const auto it = unwanted_.find(r.id); it != unwanted_.end() && it->second == r.spawn)
        unwanted_.erase(it);
      failpoint("exited.fed");
      // After the event: the queue is drained before the keeper reads this.
      m_.loop.defer([this, id = r.id, spawn = r.spawn] { m_.keeper.ack(id, spawn); });
      break;
    default:
      break;
  }
}

// The keeper has started that process again while there was no supervisor, or none that lasted: it is another
// one under the number that is known.
void Supervisor::count_repeats(const keeper::Report& r) {
  Instance* app = find(r.id);
  Side* side = app == nullptr ? nullptr : side_of(*app, r.spawn);
  if (r.kind == keeper::Kind::held || r.flags == 0 || side == nullptr) return;
  side->debt = {};
  side->answers = side->watches = false;
  side->notified.reset();
  side->spawned_wall = m_.clock.wall().n;
  app->cause_text = "restarted by the keeper: no supervisor lasted";
  app->cause_wall = side->spawned_wall;
  m_.log.warn("App [" + app->spec->name + ":" + std::to_string(app->id) + "] was restarted " +
              std::to_string(r.flags) + (r.flags == 1 ? " time" : " times") +
              " by the keeper while no supervisor lasted");
  feed(r.id, lifecycle::Repeated{r.spawn, r.flags});
  m_.loop.defer([this, id = r.id, spawn = r.spawn, times = r.flags] { m_.keeper.noted(id, spawn, times); });
}

void Supervisor::unknown_process(const keeper::Report& r) {
  m_.log.warn("ending process " + std::to_string(r.a) + ": nobody wants it");
  unwanted_[r.id] = std::max(unwanted_[r.id], r.spawn);
  m_.tree.kill({r.id, r.spawn, static_cast<int>(r.a)});
  m_.keeper.signal(r.id, r.spawn, 9);
}

}  // namespace tend::supervisor
