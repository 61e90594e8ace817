// What one process said of itself on its NOTIFY_SOCKET, and who else may speak for it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/base/units.h"
#include "core/loop/poll.h"

namespace tend::supervisor {

struct Notified {
  std::string status;        // STATUS, made fit to be shown
  bool reloading = false;    // RELOADING=1, until READY=1
  bool stopping = false;     // STOPPING=1
  int64_t error = -1;        // ERRNO; -1: not said
  int64_t exit_status = -1;  // EXIT_STATUS

  // MAINPID: Side::pid is that process then, and `child` the keeper's child, 0 when it is
  // not known, or gone.
  int child = 0;
  bool child_gone = false;  // the keeper said so, and was not answered yet
  uint64_t start = 0;       // clock ticks since boot: with the pid its identity; 0: none was named
  UniqueFd pidfd;
  std::unique_ptr<loop::Poll> poll;  // before the descriptor goes

  struct Sender {
    int pid = 0;
    uint64_t start = 0;
    bool ours = false;
    Millis seen{0};
  };
  std::vector<Sender> senders;  // of whom it is known whether they belong to the app; the latest last
  bool warned_stranger = false, warned_store = false;  // once a process
};

}  // namespace tend::supervisor
