#include "ipc/node_channel.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/loop/timer.h"
#include "ipc/fd_passing_linux.h"
#include "ipc/msgpack.h"

using namespace tend;
using namespace tend::ipc;

namespace {

// A channel on a loop; the test holds the app's end.
struct Channel {
  loop::Loop loop;
  UniqueFd app;
  std::vector<Value> got;
  bool closed = false;
  std::function<bool()> until;
  std::unique_ptr<NodeChannel> channel;
  bool timed_out = false;
  std::function<void(const Value&)> on_message = [](const Value&) {};

  Channel() {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    app.reset(fds[1]);
    channel = std::make_unique<NodeChannel>(
        loop, UniqueFd(fds[0]),
        [this](Value v) {
          got.push_back(v);
          on_message(v);
          if (until()) loop.stop();
        },
        [this] {
          closed = true;
          if (until()) loop.stop();
        });
  }
  ~Channel() { channel.reset(); }
  bool run_until(std::function<bool()> condition) {
    until = std::move(condition);
    loop::Timer late(loop, [this] {
      timed_out = true;
      loop.stop();
    });
    late.start(Millis{20'000});
    if (!until()) loop.run();
    return until();
  }
  // Lets the loop handle what is there.
  void turn() {
    until = [] { return false; };
    for (int i = 0; i < 4; ++i) uv_run(loop.raw(), UV_RUN_NOWAIT);
  }
  void write(std::string_view s) const {
    REQUIRE(::send(app.get(), s.data(), s.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(s.size()));
  }
  std::string read_line() const {
    std::string s;
    char c = 0;
    while (::recv(app.get(), &c, 1, MSG_DONTWAIT) == 1 && c != '\n') s += c;
    return s;
  }
};

pid_t spawn_node(const UniqueFd& app, const char* script) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, app.get(), 9);
  char* const argv[] = {const_cast<char*>("node"), const_cast<char*>("-e"), const_cast<char*>(script),
                        nullptr};
  const std::string path =
      std::string("PATH=") + (::getenv("PATH") != nullptr ? ::getenv("PATH") : "/usr/bin:/bin");
  char* const env[] = {const_cast<char*>("NODE_CHANNEL_FD=9"),
                       const_cast<char*>("NODE_CHANNEL_SERIALIZATION_MODE=json"),
                       const_cast<char*>(path.c_str()), nullptr};
  pid_t pid = -1;
  const int rc = ::posix_spawnp(&pid, "node", &actions, nullptr, argv, env);
  posix_spawn_file_actions_destroy(&actions);
  return rc == 0 ? pid : -1;
}

int reap(pid_t pid) {
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return status;
}

std::size_t open_fds() {
  std::size_t n = 0;
  for ([[maybe_unused]] const auto& e : std::filesystem::directory_iterator("/proc/self/fd")) ++n;
  return n;
}

}  // namespace

TEST_CASE("a Node program's values of every kind and size arrive in order, and it hears the manager") {
  Channel c;
  const pid_t pid = spawn_node(c.app, R"(
    process.on('message', m => { process.send({ heard: m }, () => process.disconnect()); });
    process.send('ready'); process.send({ a: [1, null, true, 'ä'] }); process.send(7);
    process.send('x'.repeat(70000)); process.send({ big: 'y'.repeat(3 << 20) });
    process.send({ cmd: 'NODE_TEND_X' });)");
  REQUIRE(pid > 0);
  c.app.reset();
  c.on_message = [&](const Value& v) {
    if (v.text() == "ready")
      CHECK(c.channel->send(Map{{"topic", "greeting"}, {"data", std::string(100'000, 'z')}}));
  };
  CHECK(c.run_until([&] { return c.closed; }));
  REQUIRE(c.got.size() == 7);
  CHECK(c.got[0].text() == "ready");
  CHECK(to_json(c.got[1]) == R"({"a":[1,null,true,"ä"]})");
  CHECK(c.got[2].integer() == 7);
  CHECK(c.got[3].text() == std::string(70'000, 'x'));
  CHECK(c.got[4].at("big").text().size() == 3u << 20);
  CHECK(c.got[5].at("cmd").text() == "NODE_TEND_X");
  CHECK(c.got[6].at("heard").at("topic").text() == "greeting");
  CHECK(c.got[6].at("heard").at("data").text().size() == 100'000);
  CHECK(reap(pid) == 0);
}

TEST_CASE("a Node program that sends a server is answered, may send on, and its descriptor is closed") {
  Channel c;
  const std::size_t before = open_fds();
  const pid_t pid = spawn_node(c.app, R"(
    const server = require('net').createServer();
    server.listen(0, '127.0.0.1', () => {
      process.send({ first: 1 }, server, () => server.close());
      process.send('second');
    });
    process.on('message', () => process.disconnect());)");
  REQUIRE(pid > 0);
  c.app.reset();
  c.on_message = [&](const Value& v) {
    if (v.text() == "second") CHECK(c.channel->send("enough"));
  };
  CHECK(c.run_until([&] { return c.closed; }));
  // The second value waits in Node until the handle is answered.
  REQUIRE(c.got.size() == 2);
  CHECK(c.got[0].at("first").integer() == 1);
  CHECK(c.got[1].text() == "second");
  CHECK(reap(pid) == 0);
  CHECK(open_fds() <= before);
}

TEST_CASE("every NODE_HANDLE gets one ACK, and no passed descriptor stays open") {
  Channel c;
  const std::size_t before = open_fds();
  const std::string line = R"({"cmd":"NODE_HANDLE","type":"net.Native","msg":{"n":1}})"
                           "\n";
  const int fd = c.app.get();
  for (int i = 0; i < 3; ++i) {
    REQUIRE(send_with_fds(fd, std::as_bytes(std::span(line)), std::span(&fd, 1)).has_value());
  }
  CHECK(c.run_until([&] { return c.got.size() == 3; }));
  c.turn();
  for (int i = 0; i < 3; ++i) CHECK(c.read_line() == R"({"cmd":"NODE_HANDLE_ACK"})");
  CHECK(c.read_line().empty());
  CHECK(open_fds() == before);
}

TEST_CASE("a line is handled although its descriptor came on its first bytes only") {
  Channel c;
  const std::string line = R"({"cmd":"NODE_HANDLE","type":"net.Native","msg":"inner"})"
                           "\n\"after\"\n";
  const int fd = c.app.get();
  REQUIRE(send_with_fds(fd, std::as_bytes(std::span(line)).first(5), std::span(&fd, 1)).value_or(0) == 5);
  c.write(std::string_view(line).substr(5));
  CHECK(c.run_until([&] { return c.got.size() == 2; }));
  CHECK(c.got[0].text() == "inner");
  CHECK(c.got[1].text() == "after");
}

TEST_CASE("garbage, empty lines and stray answers are dropped, what follows is not") {
  Channel c;
  c.write(
      "not json\n\n\r\n{\"cmd\":\"NODE_HANDLE_ACK\"}\n{\"cmd\":\"NODE_HANDLE_NACK\"}\n\xff\xfe\n\"ok\"\n");
  CHECK(c.run_until([&] { return !c.got.empty(); }));
  REQUIRE(c.got.size() == 1);
  CHECK(c.got[0].text() == "ok");
}

TEST_CASE("a successor finds the line that its predecessor was handling, and those after it") {
  Channel c;
  c.write("1\n2\n3\n[4,");
  std::optional<std::string> left;
  // As if it died while it handled the second: nothing of it was consumed.
  const int manager = [&] {
    for (int fd = c.app.get() - 1; fd >= 0; --fd) {
      sockaddr_storage a{};
      socklen_t n = sizeof a;
      if (::getpeername(fd, reinterpret_cast<sockaddr*>(&a), &n) == 0 && a.ss_family == AF_UNIX)
        return ::dup(fd);
    }
    return -1;
  }();
  const UniqueFd kept(manager);
  c.on_message = [&](const Value& v) {
    if (v.integer() != 2) return;
    char buffer[64];
    const ssize_t n = ::recv(kept.get(), buffer, sizeof buffer, MSG_PEEK | MSG_DONTWAIT);
    if (n > 0) left = std::string(buffer, static_cast<std::size_t>(n));
    c.channel.reset();  // within its own callback
    c.loop.stop();
  };
  c.run_until([&] { return left.has_value(); });
  CHECK(left == "2\n3\n[4,");
  CHECK(c.got.size() == 2);
}

TEST_CASE("a line in pieces is whole when its end comes, without spinning meanwhile") {
  Channel c;
  c.write("{\"a\":");
  rusage before{};
  ::getrusage(RUSAGE_SELF, &before);
  {
    loop::Timer later(c.loop, [&] { c.write("1}\n"); });
    later.start(Millis{300});  // longer than a beginning is left in the socket
    CHECK(c.run_until([&] { return c.got.size() == 1; }));
  }
  rusage after{};
  ::getrusage(RUSAGE_SELF, &after);
  CHECK(c.got[0].at("a").integer() == 1);
  const auto ms = [](const rusage& r) {
    return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000 + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1000;
  };
  CHECK(ms(after) - ms(before) < 150);
}

TEST_CASE("the peer's end is told once, after its last line") {
  Channel c;
  c.write("\"last\"\n\"cut o");
  c.app.reset();
  CHECK(c.run_until([&] { return c.closed; }));
  REQUIRE(c.got.size() == 1);
  CHECK(c.got[0].text() == "last");
  CHECK_FALSE(c.channel->send("x"));
}

TEST_CASE("a full socket queues at most 1 MiB, then refuses, and what was taken arrives whole and in order") {
  Channel c;
  int taken = 0;
  while (taken < 100'000 && c.channel->send(Map{{"n", taken}, {"pad", std::string(1000, 'p')}})) ++taken;
  CHECK(taken > 1000);
  CHECK(taken < 3000);
  CHECK_FALSE(c.channel->send(std::string(2u << 20, 'x')));
  std::string all;
  std::vector<char> buffer(1u << 16);
  const auto lines = [&] { return std::count(all.begin(), all.end(), '\n'); };
  for (int i = 0; i < 10'000 && lines() < taken; ++i) {
    const ssize_t n = ::recv(c.app.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n > 0) all.append(buffer.data(), static_cast<std::size_t>(n));
    c.turn();
  }
  REQUIRE(lines() == taken);
  std::size_t at = 0;
  for (int i = 0; i < taken; ++i) {
    const auto end = all.find('\n', at);
    REQUIRE(from_json(std::string_view(all).substr(at, end - at))->at("n").integer() == i);
    at = end + 1;
  }
}
