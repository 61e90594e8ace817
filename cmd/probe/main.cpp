// tend-probe: asks apps whether they are well, in the daemon's stead. Not for people: the daemon starts it
// with a socket as descriptor 3 (core/health/probe_wire.h).
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "cmd/probe/service.h"

namespace {

constexpr int kUsage = 2;
constexpr int kBadFrame = 1;

bool is_stream_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

}  // namespace

int main() {
  using namespace tend;
  if (!is_stream_socket(health::kProbeSocket)) {
    std::fprintf(stderr, "tend-probe is started by tend: descriptor 3 is no socket\n");
    return kUsage;
  }
  ::fcntl(health::kProbeSocket, F_SETFD, FD_CLOEXEC);
  ::signal(SIGPIPE, SIG_IGN);
  ::prctl(PR_SET_NAME, "tend-probe");
  ::setenv("UV_THREADPOOL_SIZE", "16", 0);  // names that hang hold up a thread each, others want one too
  rlimit given{};
  ::getrlimit(RLIMIT_NOFILE, &given);
  rlimit raised = given;
  raised.rlim_cur = raised.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &raised);

  loop::Loop loop;
  probe::Service service(loop, UniqueFd(health::kProbeSocket), given);
  const Status outcome = service.run();
  service.kill_commands();
  if (!outcome) std::fprintf(stderr, "tend-probe: %s\n", outcome.error().message.c_str());
  // Not by return: a look-up of a name that hangs would be waited for.
  std::fflush(nullptr);
  ::_exit(outcome ? 0 : kBadFrame);
}
