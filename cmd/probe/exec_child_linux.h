// From fork to execve of a probe's command. Other threads may hold any lock at the fork (look-ups of names),
// so the child allocates nothing and calls only what signal handlers may.
#pragma once

#include <sys/resource.h>

#include <memory>
#include <string>
#include <vector>

#include "core/health/probe_wire.h"

namespace tend::probe {

enum class ExecStep : int32_t { directory = 1, identity, exec };
struct ExecError {  // what the child writes into its error pipe
  int32_t code = 0;
  ExecStep step = ExecStep::exec;
};

// Everything that the child needs, made before the fork.
class ExecPlan {
 public:
  ExecPlan(const health::ProbeRequest& request, const rlimit& nofile);
  // In the child; standard input is /dev/null, `output` becomes 1 and 2.
  [[noreturn]] void become(int null, int output, int error_pipe);

 private:
  [[noreturn]] void fail(int error_pipe, ExecStep step);
  const health::ProbeRequest& request_;
  const rlimit nofile_;
  const int parent_;
  std::vector<std::string> candidates_;  // by the PATH of the probe's environment
  std::vector<char*> argv_, envp_;
};

}  // namespace tend::probe
