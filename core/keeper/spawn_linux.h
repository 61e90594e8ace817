// Making one process. The parent never blocks and never looks into the blob beyond its size.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <array>
#include <span>
#include <tl/expected.hpp>

#include "core/base/unique_fd.h"
#include "core/keeper/protocol.h"

namespace tend::keeper {

// What the keeper changed for itself and its children get back.
struct ChildDefaults {
  rlimit nofile{};
  mode_t umask = 022;
  std::array<char, 16> oom_score_adj{};  // "": was not changed
};

struct SpawnFds {
  int blob = -1;
  int cgroup = -1;  // -1: none
  // By the child itself. One that is born in a cgroup which cgroup.kill was written to is killed by
  // Linux 6.18, however long ago that was.
  bool joins_late = false;
  std::span<const int> child;  // become 0, 1, 2…
};

// Also what the child writes into its error pipe.
struct SpawnError {
  int32_t code = 0;
  uint32_t step = 0;
};

struct Spawning {
  pid_t pid = 0;
  UniqueFd pidfd;       // none: the kernel gave none
  UniqueFd error_pipe;  // non-blocking; a SpawnError, or the end when exec happened or the child is gone
};

// 0, or why the descriptor is no sealed blob of an allowed and honest size.
int check_blob(int fd);
tl::expected<Spawning, SpawnError> spawn_process(const SpawnFds& fds, const ChildDefaults& defaults);

// In a child: everything to its default, ignored signals too.
void default_signals();
void empty_signal_mask();
// Closes every descriptor from `first` on, but not `keep` (-1: none).
void close_from(int first, int keep);

// The child's side; ends by execve or _exit.
[[noreturn]] void become(const SpawnFds& fds, const ChildDefaults& defaults, int error_pipe,
                         bool join_cgroup);

}  // namespace tend::keeper
