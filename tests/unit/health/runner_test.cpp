#include "tests/unit/health/fixture.h"

#include <filesystem>

#include "core/health/probe_wire.h"
#include "ipc/frame.h"
#include "ipc/send_queue.h"

namespace tend::health {
namespace {

namespace fs = std::filesystem;

TEST_CASE("the helper is started when it is needed, and has a name and no descriptors of ours") {
  Fixture f;
  CHECK(f.runner->helper_pid() == 0);
  const UniqueFd stray(::socket(AF_UNIX, SOCK_STREAM, 0));  // not cloexec
  f.ask("exec:true");
  const int pid = f.runner->helper_pid();
  REQUIRE(pid > 0);
  CHECK(proc(pid, "cmdline") == "tend: probe ");
  std::size_t inherited = 0;
  for (const auto& fd : fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    if (fs::read_symlink(fd).string().starts_with("socket:")) ++inherited;
  }
  CHECK(inherited == 1);
  f.ask("exec:true");
  CHECK(f.runner->helper_pid() == pid);
}

TEST_CASE("the helper is ended when nothing was asked for a while, and started again for the next") {
  Fixture f(TEND_PROBE_PROGRAM, Millis{100});
  CHECK(f.ask("exec:true")->outcome == Outcome::ok);
  const int pid = f.runner->helper_pid();
  REQUIRE(f.turn([&] { return f.runner->helper_pid() == 0; }));
  CHECK(f.turn([&] { return !alive(pid); }));              // reaped too
  CHECK(f.ask("exec:sleep 0.3")->outcome == Outcome::ok);  // not ended while one is under way
  CHECK(f.log.all.empty());
}

TEST_CASE("the helper ends with its runner, and its commands end with it") {
  int pid = 0, command = 0;
  const fs::path file = fs::temp_directory_path() / ("tend-command-" + std::to_string(::getpid()));
  {
    Fixture f;
    f.runner->run(1,
                  request("exec:sh -c 'echo $$ > " + file.string() + ".new; mv " + file.string() + ".new " +
                              file.string() + "; sleep 1000'",
                          {100000}),
                  [](const ProbeResult&) {});
    REQUIRE(f.turn([&] { return fs::exists(file); }));
    std::ifstream(file) >> command;
    pid = f.runner->helper_pid();
  }
  fs::remove(file);
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(status == 0);
  REQUIRE(command > 0);
  ::waitpid(command, nullptr, 0);  // ours since the helper is gone
  CHECK_FALSE(alive(command));
}

TEST_CASE("a helper that dies makes what is under way unknown, and is started anew after a delay") {
  Fixture f;
  std::vector<ProbeResult> lost;
  for (uint32_t i = 1; i <= 3; ++i)
    f.runner->run(100 + i, request(at(Servers::get().silent, "/"), {60000}),
                  [&](ProbeResult r) { lost.push_back(std::move(r)); });
  CHECK(f.ask("exec:true")->outcome == Outcome::ok);
  const int pid = f.runner->helper_pid();
  ::kill(pid, SIGKILL);
  REQUIRE(f.turn([&] { return lost.size() == 3; }));
  for (const ProbeResult& r : lost) {
    CHECK(r.outcome == Outcome::unknown);
    CHECK(r.text == "probe helper ended");
  }
  CHECK_FALSE(alive(pid));
  CHECK(f.log.all.size() == 1);
  CHECK(f.ask("exec:true")->outcome == Outcome::unknown);  // within the delay
  CHECK(f.turn([&] { return f.ask("exec:true")->outcome == Outcome::ok; }));
  CHECK(f.runner->helper_pid() != pid);
}

TEST_CASE("a helper that hangs is killed, and what it owes is unknown") {
  Fixture f;
  f.ask("exec:true");
  const int pid = f.runner->helper_pid();
  ::kill(pid, SIGSTOP);
  const auto result = f.ask("exec:true", {1});
  CHECK(result->outcome == Outcome::unknown);
  CHECK(f.turn([&] { return !alive(pid); }));
}

TEST_CASE("without the program every result is unknown, and starts are not tried each time") {
  Fixture f("/no/such/tend-probe");
  for (int i = 0; i < 5; ++i) CHECK(f.ask("exec:true")->outcome == Outcome::unknown);
  CHECK(f.log.all.size() == 1);
}

TEST_CASE("what is cancelled gives no result, and the number may be used again at once") {
  Fixture f;
  int results = 0;
  f.runner->run(7, request("exec:sleep 1000", {60000}), [&](const ProbeResult&) { results += 100; });
  f.runner->cancel(7);
  f.runner->cancel(7);
  f.runner->cancel(8);
  CHECK(f.runner->under_way() == 0);
  f.runner->run(7, request("exec:sleep 1000", {60000}), [&](const ProbeResult&) { results += 100; });
  f.runner->run(7, request("exec:true"),
                [&](ProbeResult r) { results += r.outcome == Outcome::ok ? 1 : 50; });
  REQUIRE(f.turn([&] { return results != 0; }));
  f.ask("exec:true");
  CHECK(results == 1);
}

TEST_CASE("a late answer to a cancelled question is none to the next one of its number") {
  Fixture f;
  f.ask("exec:true");
  for (int i = 0; i < 200; ++i) {
    CAPTURE(i);
    std::string text;
    const ClosedPort closed;
    f.runner->run(9, request("tcp://127.0.0.1:" + std::to_string(closed.port)),
                  [&](const ProbeResult&) { text = "former"; });
    ::usleep(static_cast<useconds_t>(i * 2));  // the answer may be in the socket already
    f.runner->run(9, request("tcp://127.0.0.1:" + std::to_string(Servers::get().silent)),
                  [&](ProbeResult r) { text = r.text; });
    REQUIRE(f.turn([&] { return !text.empty(); }));
    CHECK(text == "connected");
  }
}

TEST_CASE("a callback may ask again and cancel others") {
  Fixture f;
  int answers = 0;
  std::function<void(ProbeResult)> again = [&](const ProbeResult& r) {
    CHECK(r.outcome == Outcome::ok);
    f.runner->cancel(2);
    if (++answers < 20)
      f.runner->run(1, request("tcp://127.0.0.1:" + std::to_string(Servers::get().silent)), again);
  };
  f.runner->run(2, request("exec:sleep 1000", {60000}), [](const ProbeResult&) { CHECK(false); });
  f.runner->run(1, request("exec:true"), again);
  CHECK(f.turn([&] { return answers == 20; }));
}

TEST_CASE("500 probes at once are all answered") {
  Fixture f;
  int well = 0;
  for (uint32_t i = 0; i < 500; ++i)
    f.runner->run(i, request(at(Servers::get().http, "/"), {30000}),
                  [&](ProbeResult r) { well += r.outcome == Outcome::ok ? 1 : 0; });
  CHECK(f.turn([&] { return f.runner->under_way() == 0; }, {40000}));
  CHECK(well == 500);
}

// The helper alone, with a socket of ours.
struct Alone {
  UniqueFd socket;
  int pid = 0;
  Alone() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    socket.reset(ends[0]);
    pid = ::fork();
    if (pid == 0) {
      ::dup2(ends[1], kProbeSocket);
      ::execl(TEND_PROBE_PROGRAM, "tend: probe", nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
  }
  int exit_code() {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
};

TEST_CASE("bytes that are no frame end the helper with an error") {
  for (const std::string& bytes :
       {std::string(64, 'x'), std::string("TND1\x02") + std::string(60, '\0'),
        std::string("TND1\x01\x10\0\0\0\0\0\0\xff\xff\xff\xff", 16) + std::string(16, '\0')}) {
    Alone helper;
    REQUIRE(::send(helper.socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0);
    CHECK(helper.exit_code() == 1);
  }
  Alone helper;  // a frame of a kind that no caller sends
  std::array<std::byte, ipc::kHeaderSize> header{};
  ipc::encode_header({ipc::FrameKind::item, 0, 1, 0, 1}, {}, header);
  REQUIRE(::send(helper.socket.get(), header.data(), header.size(), MSG_NOSIGNAL) > 0);
  CHECK(helper.exit_code() == 1);
}

TEST_CASE("the end of the socket ends the helper well, within a frame with an error") {
  {
    Alone helper;
    helper.socket.reset();
    CHECK(helper.exit_code() == 0);
  }
  Alone helper;
  REQUIRE(::send(helper.socket.get(), "TND1", 4, MSG_NOSIGNAL) == 4);
  helper.socket.reset();
  CHECK(helper.exit_code() == 1);
}

Result<ProbeRequest> over_wire(const ProbeRequest& r) {
  const std::vector<uint8_t> bytes = encode(r);
  return decode_request(std::as_bytes(std::span(bytes)));
}

TEST_CASE("requests survive the wire, and what is no request is refused") {
  ProbeRequest r = request("exec:a 'b c'");
  r.env = {"A=1", "B=\xff"};
  r.cwd = "/tmp";
  r.uid = 1;
  r.gid = 2;
  r.groups = {3, 4000000000};
  const auto back = over_wire(r);
  REQUIRE(back);
  CHECK(back->target == r.target);
  CHECK(back->env == r.env);
  CHECK(back->cwd == r.cwd);
  CHECK(back->uid == 1);
  CHECK(back->gid == 2);
  CHECK(back->groups == r.groups);
  ProbeRequest h = request("http://[::1]:80/x");
  h.match = "m";
  h.status = {{200, 204}, {300, 300}};
  const auto again = over_wire(h);
  REQUIRE(again);
  CHECK(again->target == h.target);
  CHECK(again->status == h.status);
  CHECK(again->match == "m");
  CHECK(over_wire(request("tcp://[::1]:80"))->target == request("tcp://[::1]:80").target);
  r.target.argv = {std::string("a\0b", 3)};
  CHECK_FALSE(over_wire(r));
  h.timeout = Millis{0};
  CHECK_FALSE(over_wire(h));
  h = request("http://h:{port}/");
  CHECK_FALSE(over_wire(h));
  CHECK_FALSE(decode_request({}));
}

}  // namespace
}  // namespace tend::health
