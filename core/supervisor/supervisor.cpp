#include "core/supervisor/supervisor.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <optional>

#include "core/base/failpoint.h"
#include "core/base/match.h"
#include "core/loop/work.h"
#include "core/model/env.h"
#include "core/supervisor/causes.h"
#include "core/supervisor/policy.h"
#include "core/supervisor/spawn_plan.h"

namespace tend::supervisor {
namespace {

using lifecycle::Phase;

// The process `spawn` is over, and as much of its tree as is waited for.
bool process_over(const lifecycle::Event& event, uint32_t spawn, bool lived,
                  const lifecycle::Policy& policy) {
  return std::visit(Match{[&](const lifecycle::TreeGone& e) { return e.spawn == spawn && lived; },
                          [&](const lifecycle::Exited& e) { return e.spawn == spawn && !policy.treekill; },
                          [&](const lifecycle::SpawnFailed& e) { return e.spawn == spawn; },
                          [](const auto&) { return false; }},
                    event);
}

// Which of the two processes `event` ends, if any.
std::optional<uint32_t> ended_process(const lifecycle::Event& event, const lifecycle::State& before,
                                      const lifecycle::Policy& policy) {
  if (process_over(event, before.spawn, lifecycle::alive(before.phase), policy)) return before.spawn;
  const lifecycle::Other& other = before.other;
  if (other.role != lifecycle::Other::Role::none && process_over(event, other.spawn, other.exited, policy))
    return other.spawn;
  return std::nullopt;
}

}  // namespace

Supervisor::Supervisor(Mechanisms mechanisms, journal::Journal& journal, journal::SlotTable slots,
                       journal::Unwritten unwritten)
    : m_(mechanisms),
      journal_(journal),
      slots_(std::move(slots)),
      chronicle_(m_.loop, m_.log, m_.home, bus_),
      waiters_(bus_),
      rollouts_(*this),
      canaries_(*this),
      workers_(m_.loop, m_.log, m_.keeper, workers_owner()),
      notices_({m_.loop, m_.clock, m_.log, m_.keeper, m_.tree, workers_}, notices_owner()),
      heartbeats_(m_.loop, m_.clock, heartbeats_owner()),
      executor_(
          m_, workers_, heartbeats_, notices_,
          [this](uint32_t id, const lifecycle::Event& e) { feed(id, e); },
          [this](uint32_t id) { return find(id); },
          [this](uint32_t id, uint32_t spawn) {
            if (const Instance* app = find(id)) chronicle_.logs_ended(*app, spawn);
          },
          [this](const Instance& app) { note(app); }),
      hangs_(*this),
      probes_(*this),
      watches_(*this),
      schedules_(*this),
      unwritten_(std::move(unwritten)),
      memory_timer_(m_.loop, [this] { watch_memory(); }) {
  executor_.next_worker = [this] { return slots_.next_worker(); };
  notices_.sinks.stopping = [this](uint32_t id, uint32_t spawn) { heartbeats_.excuse(id, spawn); };
  notices_.sinks.watchdog_ping = [this](uint32_t id, uint32_t spawn) {
    heartbeats_.watchdog_ping(id, spawn);
  };
  notices_.sinks.watchdog_trigger = [this](uint32_t id, uint32_t spawn) {
    heartbeats_.watchdog_trigger(id, spawn);
  };
  notices_.sinks.watchdog_period = [this](uint32_t id, uint32_t spawn, uint64_t us) {
    heartbeats_.watchdog_period(id, spawn, Millis{static_cast<int64_t>((us + 999) / 1000)});
  };
}

Instance* Supervisor::find(uint32_t id) {
  const auto it = table_.find(id);
  return it == table_.end() ? nullptr : it->second.get();
}

std::vector<Target> Supervisor::targets() const {
  std::vector<Target> out;
  out.reserve(table_.size());
  for (const auto& [id, app] : table_)
    out.push_back({id, app->spec->name, app->spec->name_space, app->spec->script});
  return out;
}

metrics::Usage Supervisor::usage(const Instance& app) {
  if (app.state.phase != Phase::online) return {};
  const Millis now = m_.clock.now();
  // What a process is in its first moments says nothing about the two seconds that follow.
  const bool young = now - app.state.since < Millis{3000};
  return proc_.look(measured_pid(app.main), now, young ? Millis{500} : Millis{2000});
}

std::shared_ptr<const BaseEnv> Supervisor::intern(Env env) {
  for (const auto& [number, weak] : envs_) {
    if (auto known = weak.lock(); known && known->env == env) return known;
  }
  auto fresh = std::make_shared<const BaseEnv>(BaseEnv{next_env_++, std::move(env)});
  envs_[fresh->number] = fresh;
  pending_.push_back({kEnvIds + fresh->number, env_to_value(fresh->env)});
  return fresh;
}

void Supervisor::forget_unused_envs() {
  std::erase_if(envs_, [this](const auto& entry) {
    if (!entry.second.expired()) return false;
    pending_.push_back({kEnvIds + entry.first, Value()});
    return true;
  });
}

Instance& Supervisor::add(std::shared_ptr<const AppSpec> spec, std::shared_ptr<const BaseEnv> env,
                          Identity identity, const std::string& unique_id, const Asked& asked, Part part) {
  if (table_.empty()) next_id_ = 0;  // compat.md 4.7
  auto app = std::make_unique<Instance>();
  app->id = next_id_++;
  if (const auto it = unwanted_.find(app->id); it != unwanted_.end()) app->state.last_spawn = it->second;
  app->slot = free_slot(*spec, unique_id);
  app->canary = part.canary;
  if (!part.spare) app->seat = reloads_without_gap(*spec) ? free_seat(*spec) : app->slot;
  if (part.increment) {
    app->increment = *part.increment;
  } else if (!spec->increment_var.empty()) {
    int64_t highest = -1;
    for (const auto& [id, other] : table_) {
      if (other->spec->name == spec->name) highest = std::max(highest, other->increment);
    }
    int64_t first = 0;
    if (const std::string* value = find_variable(spec->env, spec->increment_var))
      first = std::strtoll(value->c_str(), nullptr, 10);
    app->increment = highest >= 0 ? highest + 1 : first;
  }
  app->policy = policy_of(*spec, part.canary > 0);
  app->spec = std::move(spec);
  app->base_env = std::move(env);
  app->identity = std::move(identity);
  app->unique_id = unique_id;
  app->started_by = asked.text;
  Instance& added = *app;
  table_.emplace(added.id, std::move(app));
  pending_.push_back({added.id, record_of(added)});
  note(added);
  executor_.prepare_logs(added);
  schedules_.settle();
  watch_memory();
  watches_.settle();
  return added;
}

void Supervisor::change(Instance& app, std::shared_ptr<const AppSpec> spec,
                        std::shared_ptr<const BaseEnv> env) {
  app.policy = policy_of(*spec, app.canary > 0);
  app.spec = std::move(spec);
  if (env) app.base_env = std::move(env);
  pending_.push_back({app.id, record_of(app)});
  schedules_.settle();
  watch_memory();
  watches_.settle();
}

void Supervisor::note_cause(Instance& app, const Asked& asked) {
  app.cause_text = asked.text;
  app.cause_wall = m_.clock.wall().n;
}

void Supervisor::note_wish(const Instance& app, bool wanted) {
  Map wish{{"wanted", wanted}};
  if (app.deleting) wish.append("deleting", true);
  pending_.push_back({kWishIds + app.id, Value(std::move(wish))});
}

void Supervisor::start(Instance& app, const Asked& asked) {
  app.deleting = false;  // the last one who asks has it
  note_cause(app, asked);
  note_wish(app, true);
  feed(app.id, lifecycle::Start{});
}

void Supervisor::wants_anew(Instance& app, lifecycle::Cause cause, const Asked& asked) {
  if (cause == lifecycle::Cause::user) app.deleting = false;
  note_cause(app, asked);
  if (!app.state.wanted) note_wish(app, true);
}

void Supervisor::restart(Instance& app, lifecycle::Cause cause, const Asked& asked) {
  wants_anew(app, cause, asked);
  feed(app.id, lifecycle::Restart{cause});
}

void Supervisor::reload(Instance& app, const Asked& asked, lifecycle::Cause cause) {
  wants_anew(app, cause, asked);
  feed(app.id, lifecycle::Reload{cause});
}

void Supervisor::stop(Instance& app, const Asked& asked, bool drain) {
  note_cause(app, asked);
  note_wish(app, false);
  feed(app.id, lifecycle::Stop{drain && reloads_without_gap(*app.spec)});
}

void Supervisor::remove(Instance& app, const Asked& asked, bool drain) {
  app.deleting = true;
  watches_.settle();
  schedules_.settle();
  stop(app, asked, drain);
}

void Supervisor::tell(const Instance& app, std::string_view event, std::string_view words) {
  bus_.publish(event, app, app.state.phase, m_.clock.wall().n, words);
}

void Supervisor::condemn(Instance& app, uint32_t spawn, lifecycle::Cause cause, int signal,
                         const Asked& asked) {
  note_cause(app, asked);
  feed(app.id, lifecycle::Condemn{spawn, cause, signal});
}

void Supervisor::reset(Instance& app) { feed(app.id, lifecycle::Reset{}); }

void Supervisor::write_soon(journal::Record record) {
  unwritten_.put({&record, 1});  // what is done on its strength begins with this turn
  pending_.push_back(std::move(record));
  m_.loop.defer([this] { flush([](bool) {}); });
}

void Supervisor::flush(std::function<void(bool)> done) {
  // Steps come before wishes: at a take-over the slot wins, and one that lags behind a written wish would
  // undo it.
  if (!queue_.empty())
    return m_.loop.defer([this, then = std::move(done)]() mutable { flush(std::move(then)); });
  forget_unused_envs();
  if (pending_.empty()) return journal_.settled(std::move(done));
  if (wanted_changed) wanted_changed();
  unwritten_.put(pending_);
  journal_.append(std::exchange(pending_, {}),
                  [this, number = ++appends_, then = std::move(done)](bool written) {
                    if (written && number == appends_ && pending_.empty()) unwritten_.clear();
                    then(written);
                  });
}

void Supervisor::feed(uint32_t id, const lifecycle::Event& event) {
  if (queue_.empty()) m_.loop.defer([this] { drain(); });
  queue_.emplace_back(id, event);
}

void Supervisor::drain() {
  while (!queue_.empty()) {
    const auto [id, event] = queue_.front();
    handle(id, event);
    queue_.pop_front();  // last, so that a feed() inside does not defer a second drain
  }
}

void Supervisor::handle(uint32_t id, const lifecycle::Event& event) {
  Instance* found = find(id);
  if (found == nullptr) return;
  Instance& app = *found;
  const lifecycle::State before = app.state;
  const lifecycle::Transition t = lifecycle::step(before, event, m_.clock.now(), app.policy);
  failpoint("step.before");
  app.state = t.state;
  const lifecycle::State& after = app.state;
  const int64_t wall = m_.clock.wall().n;
  if (after.created != before.created) app.created_wall = after.created.n < 0 ? -1 : wall;
  const auto over = ended_process(event, before, app.policy);
  if (const auto* exit = std::get_if<lifecycle::Exited>(&event)) chronicle_.exited(app, before, exit->spawn);
  if (over) {
    Side& side = *over == before.spawn ? app.main : app.other;
    hang_up(app, *over, side);
    notices_.ended(app, side);
  }
  place_sides(app, before);
  if (std::holds_alternative<lifecycle::Exited>(event) && after.has_exit) app.exited_wall = wall;
  if (after.restarts > before.restarts && !after.manual && after.cause != lifecycle::Cause::user)
    app.cause_wall = wall;
  if (!(after == before)) note(app);  // before it is acted on
  failpoint("step.noted");
  forsake(before, app);
  const bool died = std::holds_alternative<lifecycle::Exited>(event) && before.phase == Phase::online &&
                    after.phase != Phase::online && after.phase != Phase::stopping;
  Instance* const taking_over = died ? workers_.replace_by_spare(app) : nullptr;
  if (over) workers_.ended(app, *over);
  if (over) heartbeats_.ended(app.id, *over);
  if (over) probes_.ended(app.id, *over);
  if (over) hangs_.ended(app.id, *over);
  if (after.executed && !before.executed) probes_.joined(app, after.spawn);
  for (uint8_t i = 0; i < t.count; ++i) {
    executor_.run(app, t.actions[i]);
    if (std::holds_alternative<lifecycle::Stuck>(t.actions[i])) waiters_.stuck(app);
  }
  failpoint("step.acted");
  if (over) executor_.process_ended(app, *over);
  if (over && !lifecycle::alive(after.phase)) app.main.pid = 0;
  if (after.other.role == lifecycle::Other::Role::none) app.other = {};
  if (after.phase == Phase::online && before.phase != Phase::online) workers_.became_online(app);
  if (!lifecycle::alive(after.phase) && lifecycle::alive(before.phase)) release_sockets(app);
  const std::string_view name = event_name(event, before, after);
  if (!name.empty()) bus_.publish(name, app, before.phase, wall);
  if (taking_over != nullptr) bus_.publish("takeover", *taking_over, Phase::online, wall);
  failpoint("step.told");
  if (app.deleting && !lifecycle::alive(after.phase)) erase(app);
}

// The keeper restarts what exits while no supervisor lasts: not what is to end for good.
void Supervisor::forsake(const lifecycle::State& before, const Instance& app) {
  const lifecycle::State& after = app.state;
  if (before.wanted && !after.wanted && lifecycle::alive(after.phase)) m_.keeper.forsake(app.id, after.spawn);
  const auto leaves = [](const lifecycle::Other& o) { return o.role == lifecycle::Other::Role::leaving; };
  if (leaves(after.other) && !(leaves(before.other) && before.other.spawn == after.other.spawn))
    m_.keeper.forsake(app.id, after.other.spawn);
}

// Which process is the main one is the machine's choice: what belongs to each goes with it.
void Supervisor::place_sides(Instance& app, const lifecycle::State& before) {
  const lifecycle::State& after = app.state;
  if (after.spawn == before.spawn) return;
  if (after.spawn == before.other.spawn) {  // a reload failed
    std::swap(app.main, app.other);
    if (passes_sockets(*app.spec)) write_soon({app.id, record_of(app)});
    return;
  }
  const bool succeeds = after.other.spawn == before.spawn;
  const bool second = app.main.second != succeeds;
  if (succeeds) app.other = std::move(app.main);
  app.main = {};
  app.main.second = second;
  if (succeeds && passes_sockets(*app.spec)) write_soon({app.id, record_of(app)});
  app.main.spawned_wall = m_.clock.wall().n;
}

void Supervisor::erase(Instance& app) {
  failpoint("erase.before");
  const uint32_t id = app.id;
  auto owned = std::move(table_.at(id));
  table_.erase(id);
  notices_.forget(id);
  pending_.push_back({id, Value()});
  pending_.push_back({kWishIds + id, Value()});
  pending_.push_back(
      {kCounterId, Value(Map{{"next_id", table_.empty() ? 0 : next_id_}, {"next_env", next_env_}})});
  if (!m_.home.pm2 && speaks_node_channel(*owned->spec) && group(*owned->spec).empty()) {
    const std::string cache = m_.home.compile_cache(owned->spec->name_space, owned->spec->name);
    loop::work(
        m_.loop,
        [cache] {
          std::error_code ignored;
          std::filesystem::remove_all(cache, ignored);
        },
        [] {});
  }
  bus_.publish("delete", *owned, owned->state.phase, m_.clock.wall().n);
  owned.reset();
  // Without its slot an instance that the journal still knows would count as one that never began.
  m_.loop.defer([this, id] {
    flush([this, id](bool durable) {
      if (durable && find(id) == nullptr) slots_.erase(id);
    });
  });
  failpoint("erase.after");
}

void Supervisor::note(const Instance& app) {
  journal::Slot slot;
  slot.id = app.id;
  slot.pid = app.main.pid;
  slot.other_pid = app.other.pid;
  slot.state = app.state;
  slot.created_wall = app.created_wall;
  slot.spawned_wall = app.main.spawned_wall;
  slot.exited_wall = app.exited_wall;
  slot.dropped_log_bytes = m_.logs.dropped(app.id);
  slot.cause_wall = app.cause_wall;
  slot.answers = app.main.answers;
  slot.other_answers = app.other.answers;
  slot.watches = app.main.watches;
  slot.owes_ack = app.main.debt.ack;
  slot.half_line = app.main.debt.half_line;
  slot.other_owes_ack = app.other.debt.ack;
  slot.other_half_line = app.other.debt.half_line;
  (app.*kept_text(app.state.cause)).copy(slot.cause_text, sizeof slot.cause_text - 1);
  Notices::note(app, slot);
  slots_.put(slot);
}

}  // namespace tend::supervisor
