// What the keeper has, as its supervisor knows it: when the keeper is lost, another one is given all of it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/base/units.h"
#include "core/keeper/fd_table.h"
#include "core/keeper/protocol.h"

namespace tend::keeper {

class Mirror {
 public:
  struct Process {
    uint32_t id = 0, spawn = 0;
    pid_t pid = 0;  // 0: asked for, and nothing was heard of it
    UniqueFd pidfd;
  };

  void asked(uint32_t id, uint32_t spawn);
  void lives(uint32_t id, uint32_t spawn, pid_t pid, UniqueFd pidfd);
  void gone(uint32_t id, uint32_t spawn);
  const std::vector<Process>& processes() const { return processes_; }

  // Error: descriptors ran out, and nothing changed.
  Status hold(std::string_view name, int fd);
  void drop(std::string_view name) { held_.drop(name); }

  // Tells the keeper at the other end of `link` everything and waits until it has all of it; blocks, at most
  // `limit`. Processes without a pidfd are left out.
  Status hand_over(int link, uint64_t epoch, Millis limit) const;

 private:
  Process& entry(uint32_t id, uint32_t spawn);

  std::vector<Process> processes_;
  FdTable held_;
};

}  // namespace tend::keeper
