// What the keeper knows of each spawn: the truth about what lives. In order of spawning; kept until
// acknowledged.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/base/units.h"
#include "core/keeper/protocol.h"

namespace tend::keeper {

// What it takes to start a process again (Repeat).
struct Again {
  Repeat how;
  UniqueFd blob, cgroup;       // none: in no cgroup of its own
  std::vector<UniqueFd> same;  // of how.fds, in order
  Millis delay{0};
  Millis pause{0};           // the present one: it grows while the process dies young
  Millis began{0};           // of the last repeat
  std::optional<Millis> at;  // when it is due
};

struct Entry {
  enum class State : uint8_t { pending, live, failed, exited };
  // What the supervisor was not told yet. The bits are the queue: nothing grows while it does not read.
  enum Owed : uint8_t { kPending = 1, kSpawned = 2, kFinal = 4 };

  uint32_t id = 0;
  uint32_t spawn = 0;
  pid_t pid = 0;
  State state = State::pending;
  uint8_t owed = 0;
  bool adopted = false;          // another's child: its pidfd tells the end, and nobody its status
  UniqueFd error_pipe;           // while pending
  UniqueFd pidfd;                // while alive; none: the kernel gave none
  int64_t result = 0;            // exited: wait status; failed: errno
  int64_t detail = 0;            // exited: monotonic ms; failed: Step
  std::unique_ptr<Again> again;  // none: it is never repeated
  uint32_t repeats = 0;          // that no supervisor noted yet

  bool alive() const { return state == State::pending || state == State::live; }
};

class EntryTable {
 public:
  static constexpr size_t kMax = 1 << 16;

  // Pointers are good until the next add() or erase().
  Entry* add(uint32_t id, uint32_t spawn);  // null: full
  Entry* find(uint32_t id, uint32_t spawn);
  Entry* find_child(pid_t pid);  // of those alive and not adopted
  Entry* find_adopted(int pidfd);
  Entry* find_pipe(int pipe_fd);
  void erase(Entry* entry);
  std::vector<Entry>& all() { return entries_; }
  void clear() { entries_.clear(); }

  void owe(Entry& entry, Entry::Owed what);
  void owe_state(Entry& entry);  // one report that says all: for a hello, or a spawn that is repeated
  void owe_all();
  void forget_owed();
  // The first entry at or after `from` that owes something, else null.
  Entry* next_owed(size_t& from);

 private:
  std::vector<Entry> entries_;
  bool owed_ = false;  // may be true without need, never false wrongly
};

}  // namespace tend::keeper
