
#include "core/loop/timer.h"
#include "tests/unit/ipc/raw_peer.h"
#include "tests/unit/ipc/rpc_harness.h"

using namespace tend;
using namespace tend::ipc;
using namespace tend::ipc::test;

namespace {

constexpr Millis kLong{20'000};

void echo(const std::shared_ptr<Call>& call) {
  if (call->method() == "fail") return call->error("no such app 'x'", 7);
  call->reply(Map{{"method", call->method()}, {"params", call->params()}});
}

}  // namespace

TEST_CASE("a call is answered with its result, several one after another on one client") {
  Served s(echo);
  auto client = RpcClient::connect(s.path);
  REQUIRE(client.has_value());
  CHECK(client->daemon_version().empty());
  for (int i = 0; i < 100; ++i) {
    const auto r = client->call("restart", Map{{"i", i}}, kLong);
    REQUIRE(r.has_value());
    CHECK(r->at("method").text() == "restart");
    CHECK(r->at("params").at("i").integer() == i);
  }
  CHECK(client->daemon_version() == "1.2.3");
}

TEST_CASE("an error of the daemon arrives with its text and code, and the next call works") {
  Served s(echo);
  auto client = RpcClient::connect(s.path);
  const auto r = client->call("fail", {}, kLong);
  REQUIRE_FALSE(r.has_value());
  CHECK(r.error().message == "no such app 'x'");
  CHECK(r.error().code == -7);  // below 0: the daemon's, not an errno of ours
  CHECK(client->call("ok", {}, kLong).has_value());
}

TEST_CASE("nobody listening is ECONNREFUSED, no socket ENOENT") {
  TempDir dir;
  CHECK(RpcClient::connect(dir.path + "/tend.sock").error().code == ENOENT);
  { const UniqueFd fd = listen_at(dir.path + "/tend.sock"); }
  CHECK(RpcClient::connect(dir.path + "/tend.sock").error().code == ECONNREFUSED);
}

TEST_CASE("a path longer than sun_path is reached and the working directory stays") {
  Served s(echo);
  std::string deep = s.dir.path;
  for (int i = 0; i < 3; ++i) deep += "/" + std::string(90, static_cast<char>('a' + i));
  std::filesystem::create_directories(deep);
  std::filesystem::rename(s.path, deep + "/tend.sock");
  const auto before = std::filesystem::current_path();
  auto client = RpcClient::connect(deep + "/tend.sock");
  REQUIRE(client.has_value());
  CHECK(client->call("x", {}, kLong).has_value());
  CHECK(std::filesystem::current_path() == before);
}

TEST_CASE("a full backlog is waited for") {
  TempDir dir;
  const UniqueFd listener = listen_at(dir.path + "/s", 0);
  std::vector<UniqueFd> filling;
  for (;;) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    std::memcpy(a.sun_path, (dir.path + "/s").c_str(), dir.path.size() + 2);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&a), sizeof a) != 0) break;
    filling.push_back(std::move(fd));
  }
  REQUIRE(errno == EAGAIN);
  std::thread accepts([&] {
    ::poll(nullptr, 0, 50);
    for (std::size_t i = 0; i < filling.size(); ++i) UniqueFd(::accept(listener.get(), nullptr, nullptr));
  });
  const auto client = RpcClient::connect(dir.path + "/s");
  accepts.join();
  CHECK(client.has_value());
}

TEST_CASE("an expired deadline names the method, the daemon and the time, and the client stays usable") {
  std::vector<std::shared_ptr<Call>> held;
  Events cancelled;
  Served s([&](std::shared_ptr<Call> c) {
    if (c->method() != "restart") return c->reply(c->method());
    c->on_cancel([&] { cancelled.add(); });
    held.push_back(std::move(c));
  });
  s.before_end = [&] { held.clear(); };
  auto client = RpcClient::connect(s.path);
  const auto r = client->call("restart", {}, Millis{50});
  REQUIRE_FALSE(r.has_value());
  CHECK(r.error().code == kDeadlineCode);
  CHECK(r.error().message ==
        "no answer to 'restart' from the daemon (pid " + std::to_string(::getpid()) + ") within 50ms");
  CHECK(cancelled.wait(1));
  CHECK(client->call("list", {}, kLong)->text() == "list");
}

TEST_CASE("a daemon that accepts nothing is named by its pid when the deadline expires") {
  TempDir dir;
  const UniqueFd listener = listen_at(dir.path + "/s");
  auto client = RpcClient::connect(dir.path + "/s");
  REQUIRE(client.has_value());
  const auto r = client->call("list", {}, Millis{20});
  REQUIRE_FALSE(r.has_value());
  CHECK(r.error().message.find("(pid " + std::to_string(::getpid()) + ") within 20ms") != std::string::npos);
}

TEST_CASE("a reply of 15 MiB arrives, one that no frame takes becomes an error with its size") {
  Served s([](std::shared_ptr<Call> c) {
    c->reply(std::string(static_cast<std::size_t>(c->params().integer()), 'x'));
  });
  auto client = RpcClient::connect(s.path);
  const auto big = client->call("logs", 15 << 20, kLong);
  REQUIRE(big.has_value());
  CHECK(big->text().size() == 15u << 20);
  const auto over = client->call("logs", 17 << 20, kLong);
  REQUIRE_FALSE(over.has_value());
  CHECK(over.error().code == -EMSGSIZE);
  CHECK(over.error().message.find("'logs' is 178") != std::string::npos);
  const auto request = client->call("logs", std::string(17u << 20, 'x'), kLong);
  REQUIRE_FALSE(request.has_value());
  CHECK(request.error().code == EMSGSIZE);
  CHECK(client->call("logs", 1, kLong).has_value());
}

TEST_CASE("a reply of more than 100,000 items is taken from the own daemon") {
  Served s([](std::shared_ptr<Call> c) { c->reply(List(300'000, Value(1))); });
  auto client = RpcClient::connect(s.path);
  CHECK(client->call("list", {}, kLong)->list().size() == 300'000);
}

TEST_CASE("a call that its handler drops is answered with an error") {
  Served s([](std::shared_ptr<Call>) {});
  auto client = RpcClient::connect(s.path);
  const auto r = client->call("restart", {}, kLong);
  REQUIRE_FALSE(r.has_value());
  CHECK(r.error().message == "the daemon gave 'restart' no answer");
}

TEST_CASE("a daemon that dies while it is asked is reported as such") {
  std::vector<std::shared_ptr<Call>> held;
  Served* self = nullptr;
  Served s([&](std::shared_ptr<Call> c) {
    held.push_back(std::move(c));
    self->server.reset();  // within the handler
    CHECK_FALSE(held.back()->open());
    held.back()->reply(1);
    CHECK_FALSE(held.back()->item(1));
  });
  self = &s;
  auto client = RpcClient::connect(s.path);
  const auto r = client->call("kill", {}, kLong);
  REQUIRE_FALSE(r.has_value());
  CHECK(r.error().message.find("closed the connection before it answered 'kill'") != std::string::npos);
  CHECK(client->call("again", {}, kLong).error().code == ENOTCONN);
}

TEST_CASE("a call may outlive server and loop") {
  std::shared_ptr<Call> held;
  {
    Events arrived;
    Served s([&](std::shared_ptr<Call> c) {
      held = std::move(c);
      arrived.add();
    });
    RawPeer p(s.path);
    p.request(1, "x");
    REQUIRE(arrived.wait(1));
  }
  CHECK_FALSE(held->open());
  held->reply(1);
  held.reset();
}

TEST_CASE("a stream gives its items in order beyond the first credit and ends with its reply") {
  // As an event source does: what has no credit now is tried again later.
  struct Source {
    Source(loop::Loop& loop, std::shared_ptr<Call> c) : call(std::move(c)), again(loop, [this] { push(); }) {}
    void push() {
      while (at < 2000 && call->item(at)) ++at;
      if (at == 2000) return call->reply(nullptr);
      again.start(Millis{1});
    }
    std::shared_ptr<Call> call;
    loop::Timer again;
    int at = 0;
  };
  std::unique_ptr<Source> source;
  Served* self = nullptr;
  Served s([&](std::shared_ptr<Call> c) {
    source = std::make_unique<Source>(self->loop(), std::move(c));
    source->push();
  });
  self = &s;
  s.before_end = [&] { source.reset(); };
  auto client = RpcClient::connect(s.path);
  int next = 0;
  const Status end = client->stream("events", {}, [&](const Value& v) {
    CHECK(v.integer() == next);
    ++next;
    return true;
  });
  CHECK(end.has_value());
  CHECK(next == 2000);
}

TEST_CASE("a stream that its reader gives up is cancelled, and calls follow on the same client") {
  Events cancelled;
  std::vector<std::shared_ptr<Call>> held;
  Served s([&](std::shared_ptr<Call> c) {
    if (c->method() == "list") return c->reply("listed");
    c->on_cancel([&] { cancelled.add(); });
    for (int i = 0; i < 100; ++i) c->item(i);
    held.push_back(std::move(c));
  });
  s.before_end = [&] { held.clear(); };
  auto client = RpcClient::connect(s.path);
  int seen = 0;
  CHECK(client->stream("events", {}, [&](const Value&) { return ++seen < 3; }).has_value());
  CHECK(seen == 3);
  CHECK(cancelled.wait(1));
  CHECK(client->call("list", {}, kLong)->text() == "listed");
  s.run([&] { CHECK_FALSE(held.at(0)->open()); });
}

TEST_CASE("the server is idle once its replies are written") {
  Served s(echo);
  auto client = RpcClient::connect(s.path);
  REQUIRE(client->call("x", {}, kLong).has_value());
  s.run([&] { CHECK(s.server->idle()); });
}

TEST_CASE("a server that stopped listening still answers those who are connected") {
  Served s(echo);
  auto client = RpcClient::connect(s.path);
  REQUIRE(client->call("x", {}, kLong).has_value());
  s.run([&] { s.server->stop_listening(); });
  CHECK(client->call("x", {}, kLong).has_value());
  CHECK(RpcClient::connect(s.path).error().code == ECONNREFUSED);
}
