// The life of one instance as a pure function: (state, event, now) -> (state', actions).
//
// `wanted` is the user's wish, `phase` is what is. What happens between them:
//   stopped --Start--> launching --Spawned/Ready--> online --Exited--> sweeping --TreeGone--> judged:
//     autorestart off or a stop code -> stopped; too many unstable exits -> errored;
//     a delay is due -> waiting --(restart timer)--> launching; else launching at once.
//   any living phase --Stop--> stopping --Exited--> (await tree) --TreeGone--> stopped
//   any living phase --Restart--> stopping --TreeGone--> launching
// A timer is armed for one spawn number; one that fires late carries an older number, or finds another phase, and
// changes nothing. At most one timer per kind: Arm replaces. After Stop only Start, Restart (a person, cron, watch)
// starts a process; never Exited, never a timer. The rules of restart are compat.md 4.3. Reports may be repeated (after an
// adoption the keeper tells again what was not acknowledged): the repeat changes no state, and repeats what was asked.
#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <variant>

#include "core/base/units.h"

namespace tend::lifecycle {

// Order matters: alive() is phase >= launching; api::kStatusWords is indexed by it.
enum class Phase : uint8_t { stopped, waiting, errored, launching, online, stopping, sweeping };

// Why the present process was started, or why the last one ended. Shown by describe.
enum class Cause : uint8_t { none, user, crash, exited, memory, cron, watch, heartbeat, not_ready, spawn_failed, keeper_lost };

struct State {
  Phase phase = Phase::stopped;
  bool wanted = false;
  bool exited = false;          // within stopping: the main process is gone, its tree is not yet
  bool manual = false;          // within stopping, sweeping: a start was asked for (counters reset)
  bool executed = false;        // the current process reported Spawned
  bool fresh = false;           // the current process was asked for by a person: a failed exec is final
  uint8_t kills = 0;            // within stopping: SIGKILLs sent so far (saturates at 2)
  Cause cause = Cause::none;    // of the last restart
  uint32_t spawn = 0;           // number of the current or last process; 0: never started
  uint32_t unstable = 0;        // exits in a row before min_uptime, inside the window
  uint32_t restarts = 0;        // compat.md 4.3, "Counters"
  int32_t last_status = 0;      // wait status of the last exit
  bool has_exit = false;        // last_status is valid
  Millis since{0};              // monotonic: when the current process was spawned
  Millis exited_at{-1};         // monotonic: when the current or last process exited; -1: it has not
  Millis created{-1};           // monotonic: first start or last manual restart; -1: none (after errored)
  Millis backoff{0};            // present exponential delay; 0: none yet
  Millis due{-1};               // monotonic: when the restart timer of `waiting` fires; -1: none
  Millis kill_due{-1};          // monotonic: when the kill timer of `stopping` fires; -1: none
  friend bool operator==(const State&, const State&) = default;
};

struct Policy {
  bool autorestart = true;
  bool treekill = true;
  bool wait_ready = false;
  bool ready_timeout_is_online = false;  // false: the end of `ready` is a failure
  uint32_t max_restarts = 16;
  Millis min_uptime{1000}, restart_delay{0}, exp_backoff{0}, kill{1600}, ready{3000};
  int stop_signal = 2;
  std::array<int16_t, 16> stop_codes{};  // exit codes that end in stopped
  uint8_t stop_code_count = 0;
};

enum class Timer : uint8_t { ready, kill, restart, stable };
inline constexpr int kTimerKinds = 4;
inline constexpr Millis kStableAfter{30000};  // uptime that forgets the backoff (compat.md 4.3)
inline constexpr Millis kMaxBackoff{15000};
inline constexpr Millis kSpawnRetry{100};      // first delay after a failed exec, doubled by each unstable exit
inline constexpr Millis kMinKillRepeat{100};   // between SIGKILLs, also with a kill time-out of 0
inline constexpr int32_t kStatusUnknown = -1;  // Exited::status when the keeper was lost: no wait status has this value

// Requests
struct Start {};                                // by a person or resurrect
struct Stop {};
struct Restart { Cause cause = Cause::user; };  // of a living one: stop, then start; else start
struct Reset {};                                // counters to zero, created = now
// Reports
struct Spawned { uint32_t spawn; };             // exec succeeded
struct Ready { uint32_t spawn; };               // the app said so
struct SpawnFailed { uint32_t spawn; };         // fork or exec failed; no process exists
struct Exited { uint32_t spawn; int32_t status; };
struct TreeGone { uint32_t spawn; };            // no descendant is left
struct Fired { uint32_t spawn; Timer timer; };
using Event = std::variant<Start, Stop, Restart, Reset, Spawned, Ready, SpawnFailed, Exited, TreeGone, Fired>;

// Actions
struct Spawn { uint32_t spawn; };               // start process number `spawn`
struct SignalTree { uint32_t spawn; int number; };  // to each living process of the tree, deepest first (treekill) or the main one
struct SweepTree { uint32_t spawn; };           // SIGKILL what is left of the tree, report TreeGone when empty
struct AwaitTree { uint32_t spawn; };           // report TreeGone when the tree is empty
struct Arm { uint32_t spawn; Timer timer; Millis at; };  // monotonic; replaces one of the same kind
struct Cancel { Timer timer; };
struct Stuck { uint32_t spawn; };               // it outlived SIGKILL: tell who waits
using Action = std::variant<std::monostate, Spawn, SignalTree, SweepTree, AwaitTree, Arm, Cancel, Stuck>;

struct Transition {  // bounded: a step never allocates, never throws
  State state;
  std::array<Action, 6> actions{};
  uint8_t count = 0;
  void act(Action a) {
    assert(count < actions.size());
    actions[count++] = a;
  }
};

constexpr bool alive(Phase p) { return p >= Phase::launching; }

Transition step(const State& state, const Event& event, Millis now, const Policy& policy) noexcept;

}  // namespace tend::lifecycle
