// Commands as probes: exit code 0 is a good answer. Each leads a session and a process group of its own,
// which is killed as a whole when the command ended, or is given up.
#pragma once

#include <sys/resource.h>

#include <memory>
#include <vector>

#include "cmd/probe/attempt.h"
#include "core/base/clock.h"
#include "core/base/unique_fd.h"
#include "core/health/probe_wire.h"
#include "core/loop/loop.h"

namespace tend::probe {

class Commands {
 public:
  // `nofile` is what commands get as their limit of descriptors.
  Commands(loop::Loop& loop, const rlimit& nofile);
  ~Commands();
  std::unique_ptr<Attempt> make(uint32_t number, const health::ProbeRequest& request, Attempt::Done done);
  // A command of this number was killed a while ago and is there still (it hangs within the kernel).
  bool stuck(uint32_t number) const;
  std::size_t dying() const;
  void kill_all();

 private:
  class Command;
  class Run;
  void gone(Command& command);
  loop::Loop& loop_;
  const rlimit nofile_;
  SystemClock clock_;
  UniqueFd null_;
  std::vector<std::unique_ptr<Command>> living_;  // from fork to reaping, those that nobody waits for too
};

}  // namespace tend::probe
