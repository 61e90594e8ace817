// Which instances belong together: their numbers, seats and sockets, and what the workers among them need of
// the table.
#include <algorithm>
#include <set>

#include "core/supervisor/supervisor.h"

namespace tend::supervisor {
namespace {

uint32_t lowest_free(const std::set<uint32_t>& taken) {
  uint32_t number = 0;
  while (taken.count(number) != 0) ++number;
  return number;
}

}  // namespace

Workers::Owner Supervisor::workers_owner() {
  return {[this](uint32_t id, const lifecycle::Event& e) { feed(id, e); },
          [this](uint32_t id) { return find(id); },
          [this](const AppSpec& spec) { return group(spec); },
          [this](uint32_t server, Value body) {
            write_soon({kSocketIds + server, std::move(body)});
          },
          [this](Instance& app, uint32_t spawn, const Value& message) { said(app, spawn, message); },
          [this](const Instance& app) { canaries_.stalled(app); },
          [this](const Instance& app) { note(app); },
          [this](const Instance& app) {
            write_soon({app.id, record_of(app)});
          },
          [this](const Instance& app, uint32_t spawn) {
            const int pid = spawn == app.state.spawn ? app.main.pid : app.other.pid;
            return m_.tree.members({app.id, spawn, pid});
          }};
}

Notices::Owner Supervisor::notices_owner() {
  return {[this](uint32_t id, const lifecycle::Event& e) { feed(id, e); },
          [this](uint32_t id) { return find(id); }, [this](const Instance& app) { note(app); },
          [this](const Instance& app, int before) {
            proc_.forget(before);
            bus_.publish("main process", app, app.state.phase, m_.clock.wall().n,
                         std::to_string(before) + " has named another one");
          }};
}

std::vector<Instance*> Supervisor::group(const AppSpec& spec) const {
  std::vector<Instance*> found;
  for (const auto& [id, app] : table_) {
    if (same_group(*app->spec, spec)) found.push_back(app.get());
  }
  return found;
}

uint32_t Supervisor::free_slot(const AppSpec& spec, const std::string& unique_id) const {
  std::set<uint32_t> taken;
  for (const auto& [id, app] : table_) {
    if (app->spec->name != spec.name || app->spec->instance_var != spec.instance_var) continue;
    // Under the name pm2, two apps of one name in one file are numbered apart, as PM2 does.
    if (m_.home.pm2 && app->unique_id == unique_id && app->spec.get() != &spec) continue;
    taken.insert(app->slot);
  }
  return lowest_free(taken);
}

uint32_t Supervisor::free_seat(const AppSpec& spec) const {
  std::set<uint32_t> taken;
  for (const Instance* app : group(spec)) {
    if (app->seat) taken.insert(*app->seat);
  }
  return lowest_free(taken);
}

// A process is over: nobody can say anything to it, and what it said of itself is void.
void Supervisor::hang_up(const Instance& app, uint32_t spawn, Side& side) {
  proc_.forget(side.pid);
  proc_.forget(measured_pid(side));
  side.channel.reset();
  side.input.reset();
  side.announced.reset();
  announcements_.ended(app.id, spawn);
  triggers_.ended(app.id, spawn);
}

// While one instance of the app is wanted its sockets stay: connections wait for it.
void Supervisor::release_sockets(const Instance& app) {
  if (!workers_.has_sockets(*app.spec)) return;
  for (const auto& [id, other] : table_) {
    const bool wanted = other->state.wanted || lifecycle::alive(other->state.phase);
    if (wanted && !other->deleting && same_group(*other->spec, *app.spec)) return;
  }
  workers_.release(*app.spec);
}

// PM2's rule: {type, data} is the app's own topic; what it tells of its metrics and actions is no news.
void Supervisor::said(Instance& app, uint32_t spawn, const Value& message) {
  const Side* side = side_of(app, spawn);
  const int before = side == nullptr ? 0 : measured_pid(*side);
  if (announcements_.take(app, spawn, message)) {
    if (side != nullptr && measured_pid(*side) != before) proc_.forget(before);
    return;
  }
  triggers_.heard(app.id, spawn, message);
  const std::string& type = message.at("type").text();
  const bool own = !type.empty() && !message.at("data").is_null();
  const int64_t wall = m_.clock.wall().n;
  own ? bus_.tell(type, app, "data", message.at("data"), wall)
      : bus_.tell("process:msg", app, "raw", message, wall);
}

}  // namespace tend::supervisor
