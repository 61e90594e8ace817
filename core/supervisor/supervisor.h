// The table of instances and the one way through it: an event is queued, the machine judges it, the new state
// is noted, then the actions run and the event stream is told. Nobody else changes a State.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/journal/journal.h"
#include "core/journal/unwritten.h"
#include "core/metrics/proc_linux.h"
#include "core/model/selector.h"
#include "core/supervisor/announcements.h"
#include "core/supervisor/canaries.h"
#include "core/supervisor/chronicle.h"
#include "core/supervisor/event_bus.h"
#include "core/supervisor/executor.h"
#include "core/supervisor/hangs.h"
#include "core/supervisor/heartbeats.h"
#include "core/supervisor/instance.h"
#include "core/supervisor/limits.h"
#include "core/supervisor/notices.h"
#include "core/supervisor/probes.h"
#include "core/supervisor/rollouts.h"
#include "core/supervisor/schedules.h"
#include "core/supervisor/triggers.h"
#include "core/supervisor/waiters.h"
#include "core/supervisor/watches.h"
#include "core/supervisor/workers.h"

namespace tend::supervisor {

// Who asked, for "why did it restart?". `text` is shown as it is.
struct Asked {
  std::string text;
};

// What an instance is among those of its app, beside a worker as any other.
struct Part {
  bool spare = false;
  uint32_t canary = 0;  // percent of the connections; 0: it is none
  std::optional<int64_t> increment = {};  // of a saved one; none: the next
};

class Supervisor {
 public:
  using Table = std::map<uint32_t, std::unique_ptr<Instance>>;
  Supervisor(Mechanisms mechanisms, journal::Journal& journal, journal::SlotTable slots,
             journal::Unwritten unwritten);

  // Looking
  const Table& instances() const { return table_; }
  Instance* find(uint32_t id);
  std::vector<Target> targets() const;
  uint32_t next_id() const { return table_.empty() ? 0 : next_id_; }
  metrics::Usage usage(const Instance& app);
  EventBus& bus() { return bus_; }
  Waiters& waiters() { return waiters_; }
  Rollouts& rollouts() { return rollouts_; }
  Canaries& canaries() { return canaries_; }
  Workers& workers() { return workers_; }
  Heartbeats& heartbeats() { return heartbeats_; }
  Probes& probes() { return probes_; }
  Chronicle& chronicle() { return chronicle_; }
  Notices& notices() { return notices_; }
  Triggers& triggers() { return triggers_; }
  const Mechanisms& parts() const { return m_; }
  bool durable() const { return journal_.durable(); }

  // Changing. Each notes the wish in the journal; `flush` tells when the notes of this turn are on disk.
  std::shared_ptr<const BaseEnv> intern(Env env);
  Instance& add(std::shared_ptr<const AppSpec> spec, std::shared_ptr<const BaseEnv> env, Identity identity,
                const std::string& unique_id, const Asked& asked, Part part = {});
  std::vector<Instance*> group(const AppSpec& spec) const;  // those that share its sockets
  void change(Instance& app, std::shared_ptr<const AppSpec> spec, std::shared_ptr<const BaseEnv> env);
  void start(Instance& app, const Asked& asked);
  void restart(Instance& app, lifecycle::Cause cause, const Asked& asked);
  // drain: an online one that takes connections finishes what it has first.
  void stop(Instance& app, const Asked& asked, bool drain = false);
  // A successor first, then the old one goes; an instance that is not online is restarted.
  void reload(Instance& app, const Asked& asked, lifecycle::Cause cause = lifecycle::Cause::user);
  void remove(Instance& app, const Asked& asked, bool drain = false);  // stops it first
  void reset(Instance& app);
  // Publishes what is no step of the machine.
  void tell(const Instance& app, std::string_view event, std::string_view words);
  // It is not well: process `spawn` gets the signal at once, and SIGKILL if that does not end it.
  void condemn(Instance& app, uint32_t spawn, lifecycle::Cause cause, int signal, const Asked& asked);
  void flush(std::function<void(bool durable)> done);
  // Reads the home's settings again; `done` gets what was wrong, or "".
  void reload_settings(std::function<void(std::string problem)> done);
  std::function<void()> wanted_changed;  // something is about to be noted in the journal; may be empty
  void feed(uint32_t id, const lifecycle::Event& event);

  // Recovery (recovery.cpp): what a predecessor left.
  struct Left {
    std::vector<keeper::Report> reports;  // of the keeper's table, in order
    journal::Journal::Loaded wanted;
    bool first = false;  // the keeper is new: nothing of a former one lives under it
  };
  void recover(Left left);
  void on_report(keeper::Report report);

 private:
  friend class Recovery;
  void drain();
  void handle(uint32_t id, const lifecycle::Event& event);
  void erase(Instance& app);
  void place_sides(Instance& app, const lifecycle::State& before);
  void release_sockets(const Instance& app);
  void forget_unused_envs();
  Workers::Owner workers_owner();
  Heartbeats::Owner heartbeats_owner();
  Notices::Owner notices_owner();
  void note(const Instance& app);
  void note_cause(Instance& app, const Asked& asked);
  void note_wish(const Instance& app, bool wanted);
  void wants_anew(Instance& app, lifecycle::Cause cause, const Asked& asked);
  void watch_memory();
  void said(Instance& app, uint32_t spawn, const Value& message);
  void hang_up(const Instance& app, uint32_t spawn, Side& side);
  void write_soon(journal::Record record);
  uint32_t free_seat(const AppSpec& spec) const;
  uint32_t free_slot(const AppSpec& spec, const std::string& unique_id) const;
  void resume_other(Instance& app, bool has_process);
  void unknown_process(const keeper::Report& report);
  void count_repeats(const keeper::Report& report);
  void forsake(const lifecycle::State& before, const Instance& app);

  Mechanisms m_;
  journal::Journal& journal_;
  journal::SlotTable slots_;
  EventBus bus_;
  Chronicle chronicle_;
  Waiters waiters_;
  Triggers triggers_{m_.loop};
  Announcements announcements_{m_.loop, m_.clock, m_.log, m_.keeper,
                               [this](uint32_t id) { return find(id); }};
  Rollouts rollouts_;
  Canaries canaries_;
  Workers workers_;
  Notices notices_;
  OomCount oom_;
  Heartbeats heartbeats_;
  Executor executor_;
  Hangs hangs_;
  Probes probes_;
  Watches watches_;
  Schedules schedules_;
  metrics::ProcTable proc_;
  Table table_;
  std::map<uint32_t, std::weak_ptr<const BaseEnv>> envs_;
  std::vector<journal::Record> pending_;  // to be written at the end of this turn
  journal::Unwritten unwritten_;
  uint64_t appends_ = 0;
  std::deque<std::pair<uint32_t, lifecycle::Event>> queue_;
  loop::Timer memory_timer_;
  bool memory_watched_ = false;
  uint32_t memory_looks_ = 0;
  uint32_t next_id_ = 0;
  // Processes that are being ended because no instance owns them: id -> highest spawn number. The keeper knows them
  // by these, so that an instance which gets the id anew begins above.
  std::map<uint32_t, uint32_t> unwanted_;
  uint32_t next_env_ = 0;
};

// How the journal's ids are divided: instances from 0, wishes, environments and listening sockets above them,
// one record for the counter.
inline constexpr uint32_t kWishIds = 0x40000000;
inline constexpr uint32_t kEnvIds = 0x80000000;
inline constexpr uint32_t kSocketIds = 0xc0000000;
inline constexpr uint32_t kCounterId = 0xfffffffe;

// The body of an instance's journal record and back (records.cpp).
Value record_of(const Instance& app);
Result<std::unique_ptr<Instance>> instance_of(uint32_t id, const Value& body);
Value env_to_value(const Env& env);
Env env_from_value(const Value& v);

// The event's name on the stream: "start", "online", "exit", "stop", "restart", "restart overlimit" …
std::string_view event_name(const lifecycle::Event& event, const lifecycle::State& from,
                            const lifecycle::State& to);

}  // namespace tend::supervisor
