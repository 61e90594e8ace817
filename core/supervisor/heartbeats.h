// Which living processes are well: pings over their heartbeat channels and WATCHDOG=1 on their notification
// sockets are the signs of life, core/lifecycle/pulse.h judges. One timer for all; none while nobody is
// asked.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/clock.h"
#include "core/health/heartbeat_link.h"
#include "core/lifecycle/heartbeat.h"
#include "core/lifecycle/pulse.h"
#include "core/loop/timer.h"
#include "core/model/value.h"
#include "core/supervisor/instance.h"

namespace tend::supervisor {

// Whether the process gets a heartbeat channel: Node by tend's preload; others where the app must answer.
bool has_heartbeat_channel(const AppSpec& spec);
// Whether signs of life are taken at all.
bool may_answer(const AppSpec& spec);

class Heartbeats {
 public:
  struct Hang {
    std::string words;         // the markers that led to it
    bool inspectable = false;  // it said that SIGUSR1 opens its inspector and is not its own
  };
  struct Owner {
    std::function<Instance*(uint32_t id)> find;
    std::function<void(const Instance&)> noted;  // that a process answers: for a successor of this one
    std::function<void(const Instance&, std::string_view event, const std::string& words)> tell;
    std::function<void(Instance&, uint32_t spawn, const Hang&)> hung;  // once for each hang
    std::function<void(const Instance&)> answered;
    std::function<void(Instance&, uint32_t spawn, std::string_view version)> runs_node;
    // Before a ping, and with its pong, where the process has a channel whose ACK is in doubt
    // (ipc/node_channel.h).
    std::function<bool(Instance&, uint32_t spawn)> may_ask_for_ack;
    std::function<void(Instance&, uint32_t spawn, bool awaits)> told_of_ack;
  };
  Heartbeats(loop::Loop& loop, const Clock& clock, Owner owner);

  ~Heartbeats();

  // A process was handed to the keeper, or its channel was found there: `socket` may be none.
  void joined(Instance& app, uint32_t spawn, UniqueFd socket);
  // A process that a predecessor knew: what it owes is owed anew, nothing is held against it.
  void resume(const Instance& app, uint32_t spawn);
  void ended(uint32_t id, uint32_t spawn);
  // sd_notify(3)
  void watchdog_ping(uint32_t id, uint32_t spawn);
  void watchdog_trigger(uint32_t id, uint32_t spawn);
  void watchdog_period(uint32_t id, uint32_t spawn, Millis period);  // 0: it pings no more
  void excuse(uint32_t id, uint32_t spawn);  // it is stopping: silence is no fault from now on

  // For listings: the word of the column, and with `full` lag, heap, handles and the packets seen. Null:
  // nothing is known.
  Value view(const Instance& app, bool full) const;
  // The mean lag of its event loop over the last answers; none before there are enough of them.
  std::optional<Millis> mean_lag(const Instance& app) const;

 private:
  using Key = std::pair<uint32_t, uint32_t>;  // id, spawn
  struct Patient;
  Patient* find(uint32_t id, uint32_t spawn);
  Patient& enter(const Instance& app, uint32_t spawn);
  void watch_each(Patient& p, Millis period);
  void pong(const Key& key, const ipc::Pong& pong, bool hello);
  void signed_of(Patient& p, const Instance& app, Millis lag);
  void tick();
  void look_at(Patient& p, Millis now);
  void told(Patient& p, const Instance& app, lifecycle::Health before);
  void condemn(Patient& p, Instance& app, const std::string& words);
  void sleep_until_due();
  lifecycle::Witness witness(const Patient& p, Millis now) const;

  loop::Loop& loop_;
  const Clock& clock_;
  Owner owner_;
  ipc::BufferPool pool_{4};
  std::map<Key, std::unique_ptr<Patient>> patients_;
  loop::Timer timer_;
  Millis expected_{-1};  // monotonic: when the timer should fire; -1: it is not armed
  Millis stalled_{0};    // this process' own lateness so far
  uint32_t next_stream_;
};

}  // namespace tend::supervisor
