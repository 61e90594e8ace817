// tend-serve: files over HTTP. An app like any other: `tend serve` starts it (core/config/static_server.cpp),
// with its settings in the environment.
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "cmd/serve/listener_linux.h"
#include "cmd/serve/server.h"

namespace {

constexpr int kFailed = 1, kUsage = 2;
constexpr rlim_t kOtherDescriptors = 2200;  // four caches, and what the libraries have open

int complain(const std::string& what, int status) {
  std::fprintf(stderr, "tend-serve: %s\n", what.c_str());
  return status;
}

// As many connections as there are descriptors for.
unsigned bounded(unsigned connections) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return connections;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t left =
      limit.rlim_cur > 2 * kOtherDescriptors ? limit.rlim_cur - kOtherDescriptors : limit.rlim_cur / 2;
  return static_cast<unsigned>(std::min<rlim_t>(connections, left));
}

// Until the end is asked for.
void wait_for_end(tend::serve::Server& server, const sigset_t& ends) {
  const timespec second{1, 0};
  while (::sigtimedwait(&ends, nullptr, &second) < 0) server.tidy();
}

}  // namespace

int main() {
  using namespace tend;
  auto settings = serve::read_settings([](const std::string& name) { return std::getenv(name.c_str()); });
  if (!settings) return complain(settings.error().message, kUsage);
  struct stat st {};
  if (::stat(settings->root.c_str(), &st) != 0 || !S_ISDIR(st.st_mode))
    return complain("SERVE_PATH: found " + settings->root + ", which is no folder", kFailed);
  settings->connections = bounded(settings->connections);

  sigset_t ends;
  sigemptyset(&ends);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&ends, signal);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);  // inherited by every thread
  ::signal(SIGPIPE, SIG_IGN);

  auto listener = serve::listener(settings->host, settings->port);
  if (!listener) return complain(listener.error().message, kFailed);
  auto server = serve::Server::start(*settings, std::move(*listener));
  if (!server) return complain(server.error().message, kFailed);
  std::printf("Exposing %s directory on %s:%u\n", settings->root.c_str(), settings->host.c_str(),
              unsigned{settings->port});
  std::fflush(stdout);
  serve::notify("READY=1");
  wait_for_end(*server, ends);
  serve::notify("STOPPING=1");
  server->drain();
  return 0;
}
