// The supervisor's end of an autopsy: starts the helper, waits for no longer than was allowed, hands over
// what it said.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/base/units.h"
#include "core/loop/poll.h"
#include "core/loop/timer.h"
#include "core/model/value.h"

namespace tend::health {

// One look at one process. REQUIRES: the process is condemned; it is killed by the caller when `done` has
// been called. One autopsy costs a process start on the loop's thread (posix_spawn, about a millisecond).
class Autopsy {
 public:
  struct Request {
    pid_t pid = 0;
    uint64_t start = 0;           // ticks since boot, as in /proc/PID/stat; 0: not checked
    std::string mode = "kernel";  // core/autopsy/main.h; "auto" and "inspector" only for a Node whose preload
                                  // said that SIGUSR1 is free, and that has no debugger open
    Millis limit{150};            // from now to `done`
  };
  // Gets what the helper wrote last (core/autopsy/main.h lists the keys), at least pid, mode and note. Called
  // once, never from within the constructor; may destroy the Autopsy.
  using Done = std::function<void(Value)>;

  // `program`: the path of tend's executable.
  Autopsy(loop::Loop& loop, std::string program, Request request, Done done);
  ~Autopsy();  // cancels: the helper is killed, `done` is not called
  Autopsy(const Autopsy&) = delete;
  Autopsy& operator=(const Autopsy&) = delete;

 private:
  Status spawn(const std::string& program);
  void on_readable();
  void finish();
  void end_helper();

  Request request_;
  Done done_;
  pid_t helper_ = 0;  // and its process group
  UniqueFd exited_;   // pidfd
  UniqueFd in_;
  std::string text_;
  std::string trouble_;  // why there is no helper
  std::unique_ptr<loop::Poll> poll_;
  loop::Timer deadline_;
};

// The last whole line of the helper's output that is an object, else null.
Value last_report(std::string_view text);

}  // namespace tend::health
