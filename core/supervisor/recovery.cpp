// What a predecessor left is taken over: the keeper's table says what lives, the journal what is wanted, the
// slots where each instance stood (settled 1, 3, 4). Nothing is started anew that lives, no readiness flips,
// no timer starts over.
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <unordered_map>

#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/supervisor/causes.h"
#include "core/supervisor/spawn_plan.h"
#include "core/supervisor/supervisor.h"
#include "core/tree/marks.h"

namespace tend::supervisor {
namespace {

using lifecycle::Phase;
using lifecycle::Timer;
using Role = lifecycle::Other::Role;

constexpr Millis kMoment{500};

struct Kept {
  std::string kind;  // "out" "err" "in" "ipc" "notify" "hb" "said"
  uint32_t id = 0, spawn = 0;
};

bool read_keep_name(const std::string& name, Kept& out) {
  const auto slash = name.find('/');
  const auto dot = name.find('.', slash);
  if (slash == std::string::npos || dot == std::string::npos) return false;
  out.kind = name.substr(0, slash);
  out.id = static_cast<uint32_t>(std::strtoul(name.c_str() + slash + 1, nullptr, 10));
  out.spawn = static_cast<uint32_t>(std::strtoul(name.c_str() + dot + 1, nullptr, 10));
  return out.kind == "out" || out.kind == "err" || out.kind == "in" || out.kind == "ipc" ||
         out.kind == "notify" || out.kind == "hb" || out.kind == "said";
}

// One whose home was deleted goes on without it. Those that are about to execute something or find the lock
// taken bear the name for a moment only.
bool another_keeper_lives(const Home& home) {
  const std::string title = std::string("tend: keeper") + '\0' + home.dir + '\0';
  const SystemClock clock;
  for (const Millis end = clock.now() + kMoment; !tree::processes_titled(title).empty();
       ::poll(nullptr, 0, 2))
    if (clock.now() >= end) return true;
  return false;
}

// Both daemons died: what they left alive is ended before its successor starts, so nothing runs twice
// (settled 8).
void end_leftovers(const Home& home, Log& log) {
  const auto left_alive = tree::marked_processes(tree::home_mark(home.dir, home.pm2));
  if (left_alive.empty()) return;
  if (another_keeper_lives(home))
    return log.warn("another daemon, whose home " + home.dir +
                    " was deleted or moved away, goes on with its apps");
  for (const tree::Marked& left : left_alive) {
    log.warn("ending process " + std::to_string(left.pid) + ": its keeper is lost");
    ::syscall(SYS_pidfd_send_signal, left.pidfd.get(), SIGKILL, nullptr, 0);
  }
}

// What the journal did not get any more from the predecessor.
void lay_over(std::vector<journal::Record>& written, const std::vector<journal::Record>& late) {
  std::map<uint32_t, Value> last;
  for (journal::Record& r : written) last[r.id] = std::move(r.body);
  for (const journal::Record& r : late) last[r.id] = r.body;
  written.clear();
  for (auto& [id, body] : last) {
    if (!body.is_null()) written.push_back({id, std::move(body)});
  }
}

bool lives(const Instance& app, uint32_t spawn) {
  const lifecycle::State& s = app.state;
  return (spawn == s.spawn && lifecycle::alive(s.phase)) ||
         (s.other.role != Role::none && spawn == s.other.spawn);
}

}  // namespace

// The second process of a reload that was under way.
void Supervisor::resume_other(Instance& app, bool has_process) {
  const lifecycle::Other& other = app.state.other;
  if (!has_process && !other.exited)
    return feed(app.id, lifecycle::Exited{other.spawn, lifecycle::kStatusUnknown});
  if (other.due.n >= 0) executor_.run(app, lifecycle::Arm{other.spawn, Timer::drain, other.due});
  // With a deadline it was asked to end, and what is left of it has the same time.
  if (other.exited && other.due.n >= 0) executor_.run(app, lifecycle::AwaitTree{other.spawn});
  if (other.exited && other.due.n < 0) executor_.run(app, lifecycle::SweepTree{other.spawn});
  if (other.role == Role::leaving) workers_.retire(app, other.spawn);
  const bool finishing = other.role == Role::leaving && other.stage == lifecycle::Other::Stage::draining;
  if (finishing && !other.exited)
    executor_.run(app, lifecycle::Drain{other.spawn});  // it may not have been asked
}

void Supervisor::recover(Left left) {
  failpoint("recover.begin");
  m_.logs.on_loss([this](uint32_t id) {
    if (const Instance* app = find(id)) note(*app);
  });
  lay_over(left.wanted.records, pending_ = unwritten_.records());
  std::unordered_map<uint32_t, bool> wishes;
  std::set<uint32_t> deleting;
  std::map<uint32_t, std::shared_ptr<const BaseEnv>> envs;
  for (const journal::Record& r : left.wanted.records) {
    if (r.id == kCounterId) {
      next_id_ = static_cast<uint32_t>(r.body.at("next_id").integer());
      next_env_ = std::max(next_env_, static_cast<uint32_t>(r.body.at("next_env").integer()));
    } else if (r.id >= kSocketIds) {
      workers_.give_back(r.id - kSocketIds, r.body);
    } else if (r.id >= kEnvIds) {
      const uint32_t number = r.id - kEnvIds;
      envs[number] = std::make_shared<const BaseEnv>(BaseEnv{number, env_from_value(r.body)});
      envs_[number] = envs[number];
      next_env_ = std::max(next_env_, number + 1);
    } else if (r.id >= kWishIds) {
      wishes[r.id - kWishIds] = r.body.at("wanted").boolean();
      if (r.body.at("deleting").boolean()) deleting.insert(r.id - kWishIds);
    }
  }
  for (const journal::Record& r : left.wanted.records) {
    if (r.id >= kWishIds) continue;
    auto app = instance_of(r.id, r.body);
    if (!app) {
      m_.log.error("journal: instance " + std::to_string(r.id) + " cannot be read: " + app.error().message);
      continue;
    }
    if (const Value& env = r.body.at("env"); !env.is_null()) {
      (*app)->base_env = envs[static_cast<uint32_t>(env.integer())];
    }
    next_id_ = std::max(next_id_, r.id + 1);
    (*app)->deleting = deleting.count(r.id) != 0;
    table_.emplace(r.id, std::move(*app));
  }
  failpoint("recover.journal");
  if (left.first) end_leftovers(m_.home, m_.log);

  std::set<uint32_t> placed;
  for (const journal::Slot& slot : slots_.all()) {
    Instance* app = find(slot.id);
    if (app == nullptr) {
      slots_.erase(slot.id);
      continue;
    }
    placed.insert(slot.id);
    app->state = slot.state;
    app->main.pid = slot.pid;
    app->other.pid = slot.other_pid;
    app->other.second = !app->main.second;
    app->created_wall = slot.created_wall;
    app->main.spawned_wall = slot.spawned_wall;
    app->exited_wall = slot.exited_wall;
    app->*kept_text(slot.state.cause) = slot.cause_text;
    app->cause_wall = slot.cause_wall;
    app->main.answers = slot.answers;
    app->other.answers = slot.other_answers;
    app->main.watches = slot.watches;
    app->main.debt = {slot.owes_ack, slot.half_line};
    app->other.debt = {slot.other_owes_ack, slot.other_half_line};
    notices_.recall(*app, slot);
    if (slot.dropped_log_bytes > 0) m_.logs.set_dropped(slot.id, slot.dropped_log_bytes);
  }

  failpoint("recover.slots");

  for (const keeper::Report& r : left.reports) count_repeats(r);

  // Descriptors and reports, in the keeper's order; what belongs to a process that is no more wanted is let
  // go.
  std::set<std::pair<uint32_t, uint32_t>> known;
  for (const keeper::Report& r : left.reports) {
    if (r.kind != keeper::Kind::held) known.emplace(r.id, r.spawn);
  }
  std::vector<keeper::Report> later;
  for (keeper::Report& r : left.reports) {
    Kept kept;
    if (r.kind != keeper::Kind::held) {
      later.push_back(std::move(r));
    } else if (r.name.rfind("sock/", 0) == 0) {
      workers_.give_back(r.name, std::move(r.fd));
    } else if (FdStore::is_stored(r.name, kept.id)) {
      find(kept.id) != nullptr ? notices_.store().give_back(r.name, std::move(r.fd)) : m_.keeper.drop(r.name);
    } else if (read_keep_name(r.name, kept)) {
      Instance* app = find(kept.id);
      const bool unborn = app != nullptr && app->state.phase == Phase::launching &&
                          kept.spawn == app->state.spawn && known.count({kept.id, kept.spawn}) == 0;
      if (app == nullptr || unborn) {  // unborn: the spawn was never sent; it gets fresh ones
        m_.keeper.drop(r.name);
      } else if (kept.kind == "out" || kept.kind == "err") {
        executor_.adopt_log(*app, kept.spawn, kept.kind == "out" ? logs::Channel::out : logs::Channel::err,
                            std::move(r.fd));
        // The predecessor died while it moved the last bytes of an older process.
        if (!lives(*app, kept.spawn)) {
          const auto channel = kept.kind == "out" ? logs::Channel::out : logs::Channel::err;
          m_.logs.finish({kept.id, kept.spawn, channel}, [this, name = r.name] { m_.keeper.drop(name); });
        }
      } else if (!lives(*app, kept.spawn)) {
        m_.keeper.drop(r.name);
      } else if (kept.kind == "ipc") {
        executor_.adopt_channel(*app, kept.spawn, std::move(r.fd));
      } else if (kept.kind == "in") {
        executor_.adopt_input(*app, kept.spawn, std::move(r.fd));
      } else if (kept.kind == "said") {
        announcements_.give_back(*app, kept.spawn, std::move(r.fd));
      } else if (kept.kind == "notify") {
        notices_.adopt(*app, kept.spawn, std::move(r.fd));
      } else if (kept.kind == "hb") {
        heartbeats_.joined(*app, kept.spawn, std::move(r.fd));
      }
    }
  }

  failpoint("recover.descriptors");
  workers_.settle();
  for (const auto& [id, owned] : table_) {
    Instance& app = *owned;
    lifecycle::State& s = app.state;
    failpoint("recover.instance");
    if (s.other.role != Role::none) workers_.adopt(app, s.other.spawn);  // first: the other is measured by it
    if (lifecycle::alive(s.phase)) workers_.adopt(app, s.spawn);
    if (s.phase == Phase::online) workers_.became_online(app);  // the predecessor may not have come to it
    if (lifecycle::alive(s.phase) && s.executed) {
      probes_.joined(app, s.spawn);
      heartbeats_.resume(app, s.spawn);
    }
    if (s.other.role != Role::none && !s.other.exited) notices_.resume(app, s.other.spawn);
    if (lifecycle::alive(s.phase) && s.phase != Phase::sweeping && !s.exited) notices_.resume(app, s.spawn);
    if (placed.count(id) == 0) {
      note(app);
      if (const auto wish = wishes.find(id); wish != wishes.end() && wish->second)
        feed(id, lifecycle::Start{});
      continue;
    }
    const bool has_process = known.count({id, s.spawn}) != 0;
    const auto arm = [&](Timer timer, Millis at) { executor_.run(app, lifecycle::Arm{s.spawn, timer, at}); };
    const bool serves = s.phase == Phase::launching || s.phase == Phase::online;
    if (serves && s.condemned != lifecycle::Cause::none) arm(Timer::kill, s.kill_due);
    if (s.other.role != Role::none) resume_other(app, known.count({id, s.other.spawn}) != 0);
    // An end that nobody saw: both daemons died, or a stop came between the wish to spawn and the spawn.
    if (!has_process && (s.phase == Phase::online || (s.phase == Phase::stopping && !s.exited))) {
      feed(id, lifecycle::Exited{s.spawn, lifecycle::kStatusUnknown});
      continue;
    }
    switch (s.phase) {
      case Phase::waiting:
        arm(Timer::restart, s.due);
        break;
      case Phase::launching:
        if (!has_process) executor_.run(app, lifecycle::Spawn{s.spawn});
        if (s.ready_due.n >= 0) arm(Timer::ready, s.ready_due);
        break;
      case Phase::online:
        if (app.policy.exp_backoff.n > 0) arm(Timer::stable, s.since + lifecycle::kStableAfter);
        break;
      case Phase::stopping:
        arm(Timer::kill, s.kill_due);
        if (s.draining) executor_.run(app, lifecycle::Drain{s.spawn});
        if (s.exited && !s.emptied) executor_.run(app, lifecycle::AwaitTree{s.spawn});
        break;
      case Phase::sweeping:
        executor_.run(app, lifecycle::SweepTree{s.spawn});
        break;
      case Phase::stopped:
      case Phase::errored:
        break;
    }
  }
  failpoint("recover.reports");
  for (keeper::Report& r : later) on_report(std::move(r));
  failpoint("recover.settle");
  watch_memory();
  watches_.settle();
  if (!left.first) schedules_.take_over();
  schedules_.settle();
}

}  // namespace tend::supervisor
