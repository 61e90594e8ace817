// The life of one instance as a pure function: (state, event, now) -> (state', actions).
//
// `wanted` is the user's wish, `phase` is what is. What happens between them:
//   stopped --Start--> launching --Spawned/Ready--> online --Exited--> sweeping --TreeGone--> judged:
//     autorestart off or a stop code -> stopped; too many unstable exits -> errored;
//     a delay is due -> waiting --(restart timer)--> launching; else launching at once.
//   any living phase --Stop--> stopping --Exited--> (await tree) --TreeGone--> stopped; with `drain` an online one
//     finishes first what it has, and is signalled when it says Drained or its time is over
//   any living phase --Restart--> stopping --TreeGone--> launching
//   online --Reload--> launching (the old process is `other`, serving) --Ready--> online (it is leaving: drained,
//     signalled, killed) --TreeGone of it--> online alone. A successor that fails gives the old one its place back.
// A timer is armed for one spawn number; one that fires late carries an older number, or finds another phase, and
// changes nothing. At most one timer per kind: Arm replaces. After Stop only Start, Restart (a person, cron, watch)
// starts a process; never Exited, never a timer. The rules of restart are compat.md 4.3. Reports may be repeated (after an
// adoption the keeper tells again what was not acknowledged): the repeat changes no state, and repeats what was asked.
#pragma once

#include <array>
#include <bitset>
#include <cassert>
#include <cstdint>
#include <variant>

#include "core/base/units.h"

namespace tend::lifecycle {

// Order matters: alive() is phase >= launching; api::kStatusWords is indexed by it.
enum class Phase : uint8_t { stopped, waiting, errored, launching, online, stopping, sweeping };

// Why the present process was started, or why the last one ended. Shown by describe.
enum class Cause : uint8_t { none, user, crash, exited, memory, cron, watch, heartbeat, not_ready, spawn_failed, keeper_lost, probe,
                             starved };

// The second process of an instance, in a reload only.
struct Other {
  enum class Role : uint8_t { none, serving, leaving };  // serving: the old one, until its successor is ready
  enum class Stage : uint8_t { draining, signalled, killed };  // of leaving
  Role role = Role::none;
  Stage stage = Stage::draining;
  bool executed = false;
  bool exited = false;          // its main process is gone, its tree is not yet
  uint32_t spawn = 0;
  Millis since{0};              // monotonic: when it was spawned
  Millis due{-1};               // monotonic: when Timer::drain fires; -1: not armed
  friend bool operator==(const Other&, const Other&) = default;
};

struct State {
  Phase phase = Phase::stopped;
  bool wanted = false;
  bool exited = false;          // within stopping: the main process is gone, its tree is not yet
  bool manual = false;          // within stopping, sweeping: a start was asked for (counters reset)
  bool executed = false;        // the current process reported Spawned
  bool fresh = false;           // the current process was asked for by a person: a failed exec is final
  bool draining = false;        // within stopping: it finishes what it has, no signal was sent yet
  uint8_t kills = 0;            // within stopping: SIGKILLs sent so far (saturates at 2)
  Cause cause = Cause::none;    // of the last restart
  Cause condemned = Cause::none;  // within launching, online: why the current process is being ended
  bool emptied = false;         // within stopping: nothing of the current process is left, but `other` is there
  uint32_t spawn = 0;           // number of the current or last process; 0: never started
  uint32_t last_spawn = 0;      // the highest number used: after a failed reload `spawn` is an older one again
  uint32_t reloads = 0;         // that succeeded
  uint32_t failed_reloads = 0;
  uint32_t unstable = 0;        // exits in a row before min_uptime, inside the window
  uint32_t restarts = 0;        // compat.md 4.3, "Counters"
  uint32_t hangs = 0;           // processes that were ended because they were alive but not well
  int32_t last_status = 0;      // wait status of the last exit
  bool has_exit = false;        // last_status is valid
  Millis since{0};              // monotonic: when the current process was spawned
  Millis exited_at{-1};         // monotonic: when the current or last process exited; -1: it has not
  Millis created{-1};           // monotonic: first start or last manual restart; -1: none (after errored)
  Millis backoff{0};            // present exponential delay; 0: none yet
  Millis due{-1};               // monotonic: when the restart timer of `waiting` fires; -1: none
  Millis ready_due{-1};         // monotonic: when the ready timer of `launching` fires; -1: none
  Millis kill_due{-1};          // monotonic: when the kill timer of `stopping` or of a condemned one fires (draining: the signal); -1: none
  Other other;
  friend bool operator==(const State&, const State&) = default;
};

struct Policy {
  bool autorestart = true;
  bool treekill = true;
  bool wait_ready = false;     // online needs Ready, and a deadline runs
  bool await_online = false;   // online needs Ready; a deadline runs in a reload only
  bool ready_timeout_is_online = false;  // false: the end of `ready` is a failure
  uint32_t max_restarts = 16;
  Millis min_uptime{1000}, restart_delay{0}, exp_backoff{0}, kill{1600}, ready{3000},
      drain{0};                // how long a replaced process may finish what it has
  int stop_signal = 2;
  std::bitset<256> stop_codes;  // exit codes that end in stopped
};

enum class Timer : uint8_t { ready, kill, restart, stable, drain };  // drain is of the other process
inline constexpr int kTimerKinds = 5;
inline constexpr Millis kStableAfter{30000};  // uptime that forgets the backoff (compat.md 4.3)
inline constexpr Millis kMaxBackoff{15000};
inline constexpr Millis kSpawnRetry{100};      // first delay after a failed exec, doubled by each unstable exit
inline constexpr Millis kMaxStarved{5000};    // the delay after a start that the machine had no room for, doubled up to this
inline constexpr Millis kMinKillRepeat{100};   // between SIGKILLs, also with a kill time-out of 0
// Exited::status where there is none; no wait status has these values. Unknown: the keeper was lost. Forked: the
// process was no child of the keeper, but one that the app had named as its main one.
inline constexpr int32_t kStatusUnknown = -1, kStatusForked = -2;

// Requests
struct Start {};                                // by a person or resurrect
struct Stop { bool drain = false; };            // drain: it may finish what it has (Policy::drain)
struct Restart { Cause cause = Cause::user; };  // of a living one: stop, then start; else start
struct Reload { Cause cause = Cause::user; };   // of an online one: a successor first; else as Restart
struct Reset {};                                // counters to zero, created = now
struct Condemn { uint32_t spawn; Cause cause; int signal; };  // it is not well: signalled at once, its end is an exit as any other
// Reports
struct Spawned { uint32_t spawn; };             // exec succeeded
struct Ready { uint32_t spawn; };               // the app said so
struct Drained { uint32_t spawn; };             // the leaving or stopping one has nothing left to finish
struct Extend { uint32_t spawn; Millis by; };   // the app asks: no end of its start or stop before now + by
// Fork or exec failed; no process exists. starved: for want of processes, memory or descriptors, which may come back.
struct SpawnFailed { uint32_t spawn; bool starved = false; };
struct Exited { uint32_t spawn; int32_t status; };
struct TreeGone { uint32_t spawn; };            // no descendant is left
struct Repeated { uint32_t spawn; uint32_t times; };  // it exited and was started again by the last policy, under its number
struct Fired { uint32_t spawn; Timer timer; };
using Event =
    std::variant<Start, Stop, Restart, Reload, Reset, Condemn, Spawned, Ready, Drained, Extend, SpawnFailed, Exited, TreeGone,
                 Repeated, Fired>;

// Actions
struct Spawn { uint32_t spawn; };               // start process number `spawn`
struct SignalTree { uint32_t spawn; int number; };  // to each living process of the tree, deepest first (treekill) or the main one
struct Drain { uint32_t spawn; };               // ask it to finish and to take nothing new
struct SweepTree { uint32_t spawn; };           // SIGKILL what is left of the tree, report TreeGone when empty
struct AwaitTree { uint32_t spawn; };           // report TreeGone when the tree is empty
struct Arm { uint32_t spawn; Timer timer; Millis at; };  // monotonic; replaces one of the same kind
struct Cancel { Timer timer; };
struct Stuck { uint32_t spawn; };               // it outlived SIGKILL: tell who waits
using Action = std::variant<std::monostate, Spawn, SignalTree, Drain, SweepTree, AwaitTree, Arm, Cancel, Stuck>;

struct Transition {  // bounded: a step never allocates, never throws
  State state;
  std::array<Action, 8> actions{};
  uint8_t count = 0;
  void act(Action a) {
    assert(count < actions.size());
    actions[count++] = a;
  }
};

constexpr bool alive(Phase p) { return p >= Phase::launching; }

Transition step(const State& state, const Event& event, Millis now, const Policy& policy) noexcept;

}  // namespace tend::lifecycle
