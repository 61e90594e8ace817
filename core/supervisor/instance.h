// One managed process slot: what is wanted, what is, and what belongs to the present process.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/lifecycle/instance_machine.h"
#include "core/loop/timer.h"
#include "core/model/app_spec.h"
#include "core/supervisor/announced.h"
#include "core/supervisor/input_pipe.h"
#include "core/supervisor/notified.h"
#include "ipc/node_channel.h"
#include "ipc/notify_socket.h"

namespace tend::supervisor {

// Numbers behind `uid` and `gid`, found once when the app is added (settled 14).
struct Identity {
  int32_t uid = -1, gid = -1;  // -1: the daemon's own
  std::vector<uint32_t> groups;
  std::string home;  // the user's; empty when uid is -1
};

// Environments are big and mostly equal (one caller starts many apps), so instances share them by number.
struct BaseEnv {
  uint32_t number = 0;
  Env env;
};

// What belongs to one process. An instance has a second one while it is reloaded (lifecycle::Other).
struct Side {
  int pid = 0;  // of the main process; 0: not known, or none
  uint32_t worker = 0;  // Node's cluster.worker.id; 0: none, or another supervisor gave it
  int64_t spawned_wall = 0;
  bool reported = false;  // a worker's first frame came
  bool ready = false;     // it said so
  bool probed = false;    // its probe was answered
  uint64_t accepts = 0;   // a worker: on which sockets (cluster::Primary::accepting)
  bool answers = false;   // it said that it answers pings
  bool watches = false;   // it has sent WATCHDOG=1
  Millis watch_period{0};  // which it gave for that; 0: none
  // With `listen` each seat has two sockets, and a successor gets the one that its predecessor has not: so
  // the old process can be left without new connections while it finishes.
  bool second = false;
  ipc::ChannelDebt debt;  // what is owed on the channel
  std::unique_ptr<ipc::NodeChannel> channel;
  std::unique_ptr<InputPipe> input;
  std::unique_ptr<Announced> announced;       // null: it announced nothing
  bool overflowed = false;                    // it announced too much, and that was told
  std::unique_ptr<ipc::NotifySocket> notify;  // where it was given one
  std::unique_ptr<Notified> notified;         // null: it said nothing
};

struct Instance {
  uint32_t id = 0;
  uint32_t slot = 0;  // the lowest free number among instances of the name
  // Which of its app's sockets it serves: the lowest free number of the group; none: a spare, which loads and
  // waits.
  std::optional<uint32_t> seat;
  uint32_t canary = 0;  // > 0: on trial beside the others, with this percentage of the connections
  Value waiting;        // of a spare: {spawn, frames: what its process asked for and was not answered}
  std::shared_ptr<const AppSpec> spec;
  std::shared_ptr<const BaseEnv> base_env;
  Identity identity;
  std::string unique_id;  // one per start command
  std::string started_by;
  int64_t increment = -1;  // value of increment_var; -1: none

  lifecycle::State state;
  lifecycle::Policy policy;
  Side main, other;                                            // other: as state.other says
  int64_t created_wall = -1, exited_wall = 0, cause_wall = 0;  // ms since the epoch
  std::string cause_text;
  std::string last_words;  // what the last process said of its end by sd_notify
  std::string error;       // why the last spawn failed; empty: it did not
  std::string killer;      // of the last process that was killed by no order of ours; "" unless it is known
  bool deleting = false;   // goes when it is stopped

  std::array<std::unique_ptr<loop::Timer>, lifecycle::kTimerKinds> timers;
};

// The process of which cpu and memory are shown: the app may name another one (PM2's axm_options.pid).
inline int measured_pid(const Side& side) {
  const int named = side.announced ? side.announced->measured_pid() : 0;
  return named > 0 ? named : side.pid;
}

// What belongs to process `spawn` of the instance; null when that is neither of its two.
inline Side* side_of(Instance& app, uint32_t spawn) {
  if (spawn == app.state.spawn) return &app.main;
  const lifecycle::Other& other = app.state.other;
  return other.role != lifecycle::Other::Role::none && spawn == other.spawn ? &app.other : nullptr;
}

}  // namespace tend::supervisor
