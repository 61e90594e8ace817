// What tend-probe answers, asked through the runner.
#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "tests/unit/health/fixture.h"

namespace tend::health {
namespace {

namespace fs = std::filesystem;

TEST_CASE("http is judged by its status, redirects not followed") {
  Fixture f;
  const int port = Servers::get().http;
  const auto well = f.ask(at(port, "/health"));
  CHECK(well->outcome == Outcome::ok);
  CHECK(well->text == "status 200");
  CHECK(f.ask(at(port, "/redirect"))->text == "status 302");
  const auto ill = f.ask(at(port, "/status/503"));
  CHECK(ill->outcome == Outcome::failed);
  CHECK(ill->text == "status 503");
  ProbeRequest picky = request(at(port, "/status/404"));
  picky.status = {{404, 404}};
  CHECK(f.ask(picky)->outcome == Outcome::ok);
  CHECK(f.ask("http://localhost:" + std::to_string(port) + "/")->outcome == Outcome::ok);
}

TEST_CASE("http tells who asks, and does not keep the connection") {
  Fixture f;
  ProbeRequest r = request(at(Servers::get().http, "/agent"));
  r.match = "tend-probe/" TEND_VERSION " close";
  CHECK(f.ask(r)->text == "status 200");
}

TEST_CASE("a match is looked for in the first 64 KiB of the body, to the last byte") {
  Fixture f;
  const int port = Servers::get().http;
  ProbeRequest r = request(at(port, "/"));
  r.match = "all is well";
  CHECK(f.ask(r)->outcome == Outcome::ok);
  r.match = "nothing is";
  CHECK(f.ask(r)->outcome == Outcome::failed);
  CHECK(f.ask(r)->text == "status 200, no match in the body");
  r = request(at(port, "/edge-match"));
  r.match = "needle";
  CHECK(f.ask(r)->outcome == Outcome::ok);
  r.target = request(at(port, "/late-match")).target;
  CHECK(f.ask(r)->text == "status 200, no match in the first 64 KiB of the body");
}

TEST_CASE("answers without end are bounded") {
  Fixture f;
  const int port = Servers::get().http;
  CHECK(f.ask(at(port, "/endless"))->outcome == Outcome::ok);
  const auto head = f.ask(at(port, "/head"));
  CHECK(head->outcome == Outcome::failed);
  CAPTURE(head->text);
  CHECK(head->text.size() <= kMaxProbeText);
}

TEST_CASE("who listens not, says nothing or closes has failed") {
  Fixture f;
  const ClosedPort closed;
  const std::string at_closed = "127.0.0.1:" + std::to_string(closed.port);
  CHECK(f.ask("http://" + at_closed + "/")->text == "connection refused");
  CHECK(f.ask("tcp://" + at_closed)->text == "connection refused");
  CHECK(f.ask("tcp://" + at_closed)->outcome == Outcome::failed);
  CHECK(f.ask(at(Servers::get().http, "/nothing"))->text == "connection closed without an answer");
  const auto silent = f.ask(at(Servers::get().silent, "/"), {300});
  CHECK(silent->outcome == Outcome::failed);
  CHECK(silent->text == "no answer in 300ms");
  CHECK(silent->took.n >= 295);
  CHECK(silent->took.n < 3000);
}

TEST_CASE("a proxy of the environment is not asked") {
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  Fixture f;
  CHECK(f.ask(at(Servers::get().http, "/"))->outcome == Outcome::ok);
  ::unsetenv("http_proxy");
}

TEST_CASE("https to this host needs no certificate that somebody vouches for") {
  Fixture f;
  const int port = Servers::get().https;
  if (port == 0) {
    MESSAGE("skipped: no openssl");
    return;
  }
  CHECK(f.ask("https://127.0.0.1:" + std::to_string(port) + "/")->text == "status 200");
  CHECK(f.ask("https://localhost:" + std::to_string(port) + "/")->text == "status 200");
}

TEST_CASE("tcp is well when the connection is accepted, by name too") {
  Fixture f;
  const std::string port = std::to_string(Servers::get().silent);
  CHECK(f.ask("tcp://127.0.0.1:" + port)->text == "connected");
  CHECK(f.ask("tcp://localhost:" + port)->outcome == Outcome::ok);
}

TEST_CASE("47: a name that does not exist never counts as well, nor waits beyond its time") {
  Fixture f;
  for (const char* probe : {"tcp://no-such-host.invalid:1", "http://no-such-host.invalid/"}) {
    const auto result = f.ask(probe, {2000});
    CAPTURE(result->text);
    CHECK(result->outcome != Outcome::ok);
    CHECK(result->text.find("resolve") != std::string::npos);
  }
}

TEST_CASE("exec is judged by its exit code, and its last line is told") {
  Fixture f;
  CHECK(f.ask("exec:true")->outcome == Outcome::ok);
  const auto ill = f.ask("exec:sh -c 'echo first; echo disk full >&2; exit 3'");
  CHECK(ill->outcome == Outcome::failed);
  CHECK(ill->text == "exit code 3: disk full");
  CHECK(f.ask("exec:sh -c 'kill -9 $$'")->text == "signal 9");
  CHECK(f.ask("exec:/no/such/program")->text == "cannot run /no/such/program: No such file or directory");
  CHECK(f.ask("exec:no-such-program-anywhere")->outcome == Outcome::failed);
  const auto loud = f.ask("exec:sh -c 'head -c 3000000 /dev/zero; exit 1'");
  CHECK(loud->outcome == Outcome::failed);
  CHECK(loud->text.size() <= kMaxProbeText);
}

TEST_CASE("exec has the environment and the folder that it is given, no input and no descriptors") {
  Fixture f;
  ProbeRequest r = request("exec:sh -c 'echo $WHO in $PWD; ls /proc/self/fd | wc -l; exit 1'");
  r.env = {"WHO=me", "PATH=/usr/bin:/bin"};
  r.cwd = "/usr";
  CHECK(f.ask(r)->text == "exit code 1: 4");  // 0, 1, 2 and the folder that ls reads
  r.target.argv.back() = "echo $WHO in $PWD; exit 1";
  CHECK(f.ask(r)->text == "exit code 1: me in /usr");
  r.target.argv.back() = "cat; test \"$(readlink /proc/self/fd/0)\" = /dev/null";
  CHECK(f.ask(r)->outcome == Outcome::ok);
  r.cwd = "/no/such/folder";
  CHECK(f.ask(r)->text == "cannot enter /no/such/folder: No such file or directory");
}

TEST_CASE("exec drops to the user that it is given") {
  Fixture f;
  if (::geteuid() != 0) {
    MESSAGE("skipped: not root");
    return;
  }
  ProbeRequest r = request("exec:sh -c 'echo $(id -u) $(id -g) $(id -G); exit 1'");
  r.uid = 65534;
  r.gid = 65533;
  r.groups = {65533, 1234};
  CHECK(f.ask(r)->text == "exit code 1: 65534 65533 65533 1234");
}

// The pid that a command wrote into `file`.
int written_pid(const fs::path& file) {
  int pid = 0;
  std::ifstream(file) >> pid;
  return pid;
}

TEST_CASE("47: exec that sleeps is killed at its time, with its children") {
  Fixture f;
  const fs::path file = fs::temp_directory_path() / ("tend-sleeper-" + std::to_string(::getpid()));
  const auto late = f.ask("exec:sh -c 'sleep 1000 & echo $! > " + file.string() + "; wait'", {500});
  CHECK(late->outcome == Outcome::failed);
  CHECK(late->text == "no answer in 500ms");
  const int pid = written_pid(file);
  fs::remove(file);
  REQUIRE(pid > 0);
  CHECK(f.turn([&] { return ::waitpid(pid, nullptr, WNOHANG), !alive(pid); }));
}

TEST_CASE("exec that leaves a sleeper behind is judged at once, and the sleeper is killed") {
  Fixture f;
  const fs::path file = fs::temp_directory_path() / ("tend-left-" + std::to_string(::getpid()));
  const auto result = f.ask("exec:sh -c 'sleep 1000 & echo $! > " + file.string() + "'");
  CHECK(result->outcome == Outcome::ok);
  CHECK(result->took.n < 4000);
  const int pid = written_pid(file);
  fs::remove(file);
  REQUIRE(pid > 0);
  CHECK(f.turn([&] { return ::waitpid(pid, nullptr, WNOHANG), !alive(pid); }));
}

TEST_CASE("47: probes that hang hold up no others") {
  Fixture f;
  int hung = 0;
  for (uint32_t i = 0; i < 200; ++i)
    f.runner->run(1000 + i, request(at(Servers::get().silent, "/"), {30000}),
                  [&](const ProbeResult&) { ++hung; });
  for (uint32_t i = 0; i < 20; ++i)
    f.runner->run(2000 + i, request("exec:sleep 1000", {30000}), [&](const ProbeResult&) { ++hung; });
  const auto result = f.ask(at(Servers::get().http, "/"));
  CHECK(result->outcome == Outcome::ok);
  CHECK(result->took.n < 3000);
  CHECK(hung == 0);
  CHECK(f.runner->under_way() == 220);
}

}  // namespace
}  // namespace tend::health
