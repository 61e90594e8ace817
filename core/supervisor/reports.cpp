// What the keeper tells of processes: to the machine, and back to the keeper that it was heard.
#include <cstring>
#include <iterator>

#include "core/base/failpoint.h"
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
    case Kind::spawn_failed:
      failpoint("spawn_failed.before");
      if (ours) {
        constexpr std::string_view kSteps[] = {"start",
                                               "fork",
                                               "set up a session of",
                                               "join the cgroup of",
                                               "set limits of",
                                               "enter the folder of",
                                               "place descriptors of",
                                               "change the user of",
                                               "execute"};
        const auto step = static_cast<std::size_t>(r.b);
        const bool folder = r.b == static_cast<int64_t>(keeper::Step::directory);
        app->error = std::string("cannot ") + std::string(kSteps[step < std::size(kSteps) ? step : 0]) + " " +
                     (folder                             ? app->spec->cwd
                      : app->spec->interpreter == "none" ? app->spec->script
                                                         : app->spec->interpreter) +
                     ": " + std::strerror(static_cast<int>(r.a));
        feed(r.id, lifecycle::SpawnFailed{r.spawn});
      }
      failpoint("spawn_failed.fed");
      m_.keeper.ack(r.id, r.spawn);
      break;
    case Kind::exited:
      failpoint("exited.before");
      if (ours && notices_.lives_on(*app, r.spawn)) break;
      if (ours) feed(r.id, lifecycle::Exited{r.spawn, static_cast<int32_t>(r.b)});
      failpoint("exited.fed");
      // After the event: the queue is drained before the keeper reads this.
      m_.loop.defer([this, id = r.id, spawn = r.spawn] { m_.keeper.ack(id, spawn); });
      break;
    default:
      break;
  }
}

void Supervisor::unknown_process(const keeper::Report& r) {
  m_.log.warn("ending process " + std::to_string(r.a) + ": nobody wants it");
  m_.tree.kill({r.id, r.spawn, static_cast<int>(r.a)});
  m_.keeper.signal(r.id, r.spawn, 9);
}

}  // namespace tend::supervisor
