// What a keeper leaves to the program that takes its place by execve: its tables and what it needs to go on,
// as fixed little-endian structs in a memfd. A change of a struct adds fields at its end and counts
// kStateVersion up: an older state is read, with zeros for what it lacks; a newer one is refused.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/keeper/entry_table.h"
#include "core/keeper/fd_table.h"
#include "core/keeper/protocol.h"

namespace tend::keeper {

inline constexpr uint64_t kStateMagic = 0x5441545344444e54;  // "TNDDSTAT"
inline constexpr uint32_t kStateVersion = 2;

// StateHead::flags
inline constexpr uint32_t kNoSupervisorYet = 1;  // none was given the whole table
inline constexpr uint32_t kReopenOwed = 2;

// Descriptors are those of the process, which keeps its table of them: -1 is none.
struct StateHead {
  uint64_t magic = kStateMagic;
  uint32_t version = kStateVersion;
  uint32_t head_size = 0;  // this and the next four are write_state()'s
  uint32_t entry_size = 0;
  uint32_t entry_count = 0;
  uint32_t held_size = 0;
  uint32_t held_count = 0;
  uint64_t sum = 0;  // FNV-1a of all the bytes, this field zero
  uint64_t epoch = 0;
  int64_t started = 0;                   // monotonic ms
  uint64_t nofile = 0, nofile_most = 0;  // what children get
  char oom_score_adj[16] = {};
  uint32_t umask = 0;
  uint32_t flags = 0;
  uint32_t upgrades = 0;  // by which this program came to run
  int32_t home = -1, lock = -1, listener = -1;
  uint64_t listener_device = 0, listener_inode = 0;
};
static_assert(sizeof(StateHead) == 128);

struct StateEntry {
  uint32_t id = 0, spawn = 0;
  int32_t pid = 0;
  uint8_t state = 0;  // Entry::State
  uint8_t adopted = 0;
  uint8_t reserved[2] = {};
  int32_t error_pipe = -1;
  int32_t pidfd = -1;
  int64_t result = 0, detail = 0;
  // Since version 2. Again: blob -1 is none.
  int32_t blob = -1, cgroup = -1;
  int64_t delay = 0;
  Repeat how;
  uint32_t repeats = 0;
  uint32_t same_count = 0;
  int32_t same[Repeat::kMaxFds] = {};
};
static_assert(sizeof(StateEntry) == 240);

struct StateHeld {
  char name[kNameSize] = {};
  int32_t fd = -1;
  uint32_t reserved = 0;
};
static_assert(sizeof(StateHeld) == 72);

// The counts, the sizes and the sum of `head` are filled in.
Result<UniqueFd> write_state(StateHead head, EntryTable& entries, const FdTable& held);

// Looks at a state that was checked whole. Its descriptors are plain numbers: the reader owns none of them.
class StateReader {
 public:
  // Error: one line that says what is wrong with it.
  static Result<StateReader> open(int fd);
  StateReader(StateReader&& other) noexcept;
  StateReader& operator=(StateReader&&) = delete;
  ~StateReader();

  const StateHead& head() const { return head_; }
  size_t entries() const { return head_.entry_count; }
  size_t held() const { return head_.held_count; }
  StateEntry entry(size_t i) const;
  StateHeld held(size_t i) const;
  // Calls `each` with every descriptor of the state.
  template <class F>
  void each_fd(F each) const {
    for (const int fd : {head_.home, head_.lock, head_.listener})
      if (fd >= 0) each(fd);
    for (size_t i = 0; i < entries(); ++i) {
      const StateEntry e = entry(i);
      for (const int fd : {e.error_pipe, e.pidfd, e.blob, e.cgroup})
        if (fd >= 0) each(fd);
      for (uint32_t n = 0; n < e.same_count; ++n) each(e.same[n]);
    }
    for (size_t i = 0; i < held(); ++i) each(held(i).fd);
  }

 private:
  StateReader(const char* bytes, size_t size) : bytes_(bytes), size_(size) {}
  Status check();

  const char* bytes_;
  size_t size_;
  StateHead head_;
};

}  // namespace tend::keeper
