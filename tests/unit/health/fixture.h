// A runner with the real helper, and real servers to be probed.
#pragma once

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/health/probe_runner.h"

namespace tend::health {

class Lines final : public Log {
 public:
  void info(std::string_view line) override { all.emplace_back(line); }
  void warn(std::string_view line) override { all.emplace_back(line); }
  void error(std::string_view line) override { all.emplace_back(line); }
  std::vector<std::string> all;
};

// One for all tests; ends with the test program, whose end of the pipe it reads.
struct Servers {
  int http = 0, https = 0, silent = 0;
  static const Servers& get() {
    static const Servers servers;
    return servers;
  }

 private:
  Servers() {
    int in[2], out[2];
    REQUIRE(::pipe2(in, O_CLOEXEC) == 0);
    REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
    if (::fork() == 0) {
      ::dup2(in[0], 0);
      ::dup2(out[1], 1);
      ::execlp("python3", "python3", "-B", TEND_PROBE_SERVER, nullptr);
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    FILE* lines = ::fdopen(out[0], "r");
    REQUIRE(std::fscanf(lines, "http %d https %d silent %d", &http, &https, &silent) == 3);
    std::fclose(lines);
  }
};

// Bound and not listening: refused, and nobody else gets it.
struct ClosedPort {
  UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  int port = 0;
  ClosedPort() {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof a;
    REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&a), size) == 0);
    REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&a), &size) == 0);
    port = ntohs(a.sin_port);
  }
};

inline ProbeRequest request(const std::string& probe, Millis timeout = {5000}) {
  ProbeRequest r;
  const auto target = parse_probe(probe);
  REQUIRE(target);
  r.target = *target;
  r.timeout = timeout;
  return r;
}

inline std::string at(int port, const std::string& path) {
  return "http://127.0.0.1:" + std::to_string(port) + path;
}

inline bool alive(int pid) { return ::kill(pid, 0) == 0; }

// What /proc tells of a process, NULs as blanks.
inline std::string proc(int pid, const std::string& file) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/" + file);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  for (char& c : text) c = c == '\0' ? ' ' : c;
  return text;
}

struct Fixture {
  loop::Loop loop;
  Lines log;
  std::unique_ptr<ProbeRunner> runner;
  uint32_t next = 0;

  explicit Fixture(const std::string& program = TEND_PROBE_PROGRAM, Millis idle = ProbeRunner::kIdle)
      : runner(std::make_unique<ProbeRunner>(loop, log, program, idle)) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  }

  // Turns the loop until `until` holds; false when it did not within the limit.
  template <class Until>
  bool turn(Until until, Millis limit = {15000}) {
    bool late = false;
    loop::Timer deadline(loop, [&] { late = true; });
    deadline.start(limit);
    while (!late && !until()) {
      loop::Timer tick(loop, [&] { loop.stop(); });
      tick.start({5});
      loop.run();
    }
    return until();
  }

  std::optional<ProbeResult> ask(const ProbeRequest& r) {
    std::optional<ProbeResult> result;
    runner->run(++next, r, [&](ProbeResult got) { result = std::move(got); });
    CHECK_FALSE(result);  // never inside the call
    REQUIRE(turn([&] { return result.has_value(); }));
    return result;
  }
  std::optional<ProbeResult> ask(const std::string& probe, Millis timeout = {5000}) {
    return ask(request(probe, timeout));
  }
};

using Outcome = ProbeResult::Outcome;

}  // namespace tend::health
