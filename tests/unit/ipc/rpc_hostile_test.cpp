#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <set>

#include "tests/unit/ipc/raw_peer.h"
#include "tests/unit/ipc/rpc_harness.h"

using namespace tend;
using namespace tend::ipc;
using namespace tend::ipc::test;

namespace {

struct Holder {
  std::vector<std::shared_ptr<Call>> calls;
  Events arrived;
  Events cancelled;
  void operator()(std::shared_ptr<Call> c) {
    c->on_cancel([this] { cancelled.add(); });
    calls.push_back(std::move(c));
    arrived.add();
  }
};

}  // namespace

TEST_CASE("both sides say hello with version, protocol and pid") {
  Served s([](std::shared_ptr<Call>) {});
  RawPeer p(s.path);
  const auto hello = p.next();
  REQUIRE(hello.has_value());
  CHECK(hello->header.kind == FrameKind::hello);
  CHECK(hello->payload.at("version").text() == "1.2.3");
  CHECK(hello->payload.at("protocol").integer() == 1);
  CHECK(hello->payload.at("pid").integer() == ::getpid());
}

TEST_CASE("39: what is no frame, or out of order, closes the connection and no other") {
  Served s([](std::shared_ptr<Call> c) { c->reply("fine"); });
  RawPeer good(s.path);
  const std::vector<uint8_t> none;
  const auto request = to_msgpack(Map{{"method", "x"}});
  const std::vector<std::function<void(RawPeer&)>> bad = {
      [](RawPeer& p) { p.raw(std::vector<uint8_t>(64, 'G')); },
      [&](RawPeer& p) {
        auto b = RawPeer::encode({FrameKind::request, 0, 1, 0, 2}, request);
        b.back() ^= 1;
        p.raw(b);
      },
      [&](RawPeer& p) {
        p.raw(RawPeer::encode({FrameKind::request, 0, 1, 0, 3}, request));
      },  // a gap
      [&](RawPeer& p) { p.send(FrameKind::request, 0, request); },
      [&](RawPeer& p) { p.send(FrameKind::reply, 1, request); },
      [&](RawPeer& p) { p.send(FrameKind::item, 1, request); },
      [&](RawPeer& p) { p.send(static_cast<FrameKind>(99), 1, none); },
      [&](RawPeer& p) {
        p.send(FrameKind::credit, 1, {1, 2});
      },
      [&](RawPeer& p) { p.send(FrameKind::hello, 0, hello_payload("again", 1)); },
  };
  for (std::size_t i = 0; i < bad.size(); ++i) {
    CAPTURE(i);
    RawPeer p(s.path);
    bad[i](p);
    CHECK(p.sees_close());
  }
  good.request(1, "x");
  CHECK(good.next_of(FrameKind::reply)->payload.at("ok").text() == "fine");
}

TEST_CASE("39: a request before hello closes, a malformed hello is told why") {
  Served s([](std::shared_ptr<Call> c) { c->reply(1); });
  RawPeer early(s.path, false);
  early.request(1, "x");
  CHECK(early.sees_close());
  for (const auto& payload :
       {std::vector<uint8_t>{}, std::vector<uint8_t>{0xc1}, std::vector<uint8_t>(5000, 0x91),
        to_msgpack(Map{{"protocol", 2}}), to_msgpack("hello")}) {
    RawPeer p(s.path, false);
    p.send(FrameKind::hello, 0, payload);
    const auto refusal = p.next_of(FrameKind::reply);
    REQUIRE(refusal.has_value());
    CHECK(refusal->header.stream == kConnectionStream);
    CHECK(refusal->payload.at("error").text().find("hello") == 0);
    CHECK(p.sees_close());
  }
}

TEST_CASE("39: a payload that is no request is answered with an error, the connection stays") {
  Served s([](std::shared_ptr<Call> c) { c->reply("fine"); });
  RawPeer p(s.path);
  p.send(FrameKind::request, 1, std::vector<uint8_t>(100'000, 0x91));
  CHECK(p.next_of(FrameKind::reply)->payload.at("error").text().find("deeper") != std::string::npos);
  p.send(FrameKind::request, 2, to_msgpack(Map{{"method", 5}}));
  CHECK(p.next_of(FrameKind::reply)->payload.at("error").text() == "a request without method");
  p.send(FrameKind::request, 3, to_msgpack(List{1}));
  CHECK(p.next_of(FrameKind::reply)->payload.at("error").text() == "a request without method");
  p.request(4, "x");
  CHECK(p.next_of(FrameKind::reply)->payload.at("ok").text() == "fine");
}

TEST_CASE("200 streams on one connection are answered in any order, each once") {
  Holder held;
  Served s([&](std::shared_ptr<Call> c) { held(std::move(c)); });
  s.before_end = [&] { held.calls.clear(); };
  RawPeer p(s.path);
  for (uint32_t i = 1; i <= 200; ++i) p.request(i, "m" + std::to_string(i));
  REQUIRE(held.arrived.wait(200));
  s.run([&] {
    for (auto it = held.calls.rbegin(); it != held.calls.rend(); ++it) {
      (*it)->reply((*it)->method());
      (*it)->reply("twice");
      (*it)->error("twice", 1);
    }
    held.calls.clear();
  });
  std::set<uint32_t> seen;
  for (int i = 0; i < 200; ++i) {
    const auto g = p.next_of(FrameKind::reply);
    REQUIRE(g.has_value());
    CHECK(g->payload.at("ok").text() == "m" + std::to_string(g->header.stream));
    CHECK(seen.insert(g->header.stream).second);
  }
  CHECK_FALSE(p.next(50).has_value());
  CHECK_FALSE(p.closed);
}

TEST_CASE("39: streams beyond the limit get an error, a stream in use closes") {
  Holder held;
  Served s([&](std::shared_ptr<Call> c) { held(std::move(c)); }, {.streams = 3});
  s.before_end = [&] { held.calls.clear(); };
  RawPeer p(s.path);
  for (uint32_t i = 1; i <= 4; ++i) p.request(i, "x");
  const auto g = p.next_of(FrameKind::reply);
  CHECK(g->header.stream == 4);
  CHECK(g->payload.at("error").text() == "more than 3 requests at once");
  p.send(FrameKind::cancel, 2, {});
  p.request(5, "x");
  REQUIRE(held.arrived.wait(4));
  p.request(1, "x");
  CHECK(p.sees_close());
  CHECK(held.cancelled.wait(4));
}

TEST_CASE("items stop at the end of the credit, are counted, and go on with new credit") {
  Holder held;
  Served s([&](std::shared_ptr<Call> c) { held(std::move(c)); });
  s.before_end = [&] { held.calls.clear(); };
  RawPeer p(s.path);
  p.request(1, "events");
  REQUIRE(held.arrived.wait(1));
  const auto push = [&](int n) {
    int sent = 0;
    s.run([&] {
      for (int i = 0; i < n; ++i) sent += held.calls.at(0)->item(i) ? 1 : 0;
    });
    return sent;
  };
  CHECK(push(300) == 256);
  s.run([&] { CHECK(held.calls.at(0)->dropped() == 44); });
  p.credit(1, 10);
  p.request(2, "after the credit");
  REQUIRE(held.arrived.wait(2));
  CHECK(push(20) == 10);
  p.credit(1, 0xffffff);
  p.credit(1, 0xffffff);
  p.request(3, "after the credit");
  REQUIRE(held.arrived.wait(3));
  CHECK(push(1000) == 1000);
  int items = 0;
  while (items < 1266 && p.next_of(FrameKind::item)) ++items;
  CHECK(items == 1266);
}

TEST_CASE("cancel and the peer's end each call on_cancel once and close the call") {
  Holder held;
  Served s([&](std::shared_ptr<Call> c) { held(std::move(c)); });
  s.before_end = [&] { held.calls.clear(); };
  {
    RawPeer p(s.path);
    p.request(1, "a");
    p.request(2, "b");
    p.send(FrameKind::cancel, 1, {});
    p.send(FrameKind::cancel, 1, {});
    p.send(FrameKind::cancel, 77, {});
    REQUIRE(held.cancelled.wait(1));
    s.run([&] {
      CHECK_FALSE(held.calls.at(0)->open());
      CHECK(held.calls.at(1)->open());
      CHECK_FALSE(held.calls.at(0)->item(1));
    });
  }
  REQUIRE(held.cancelled.wait(2));
  s.run([&] { CHECK_FALSE(held.calls.at(1)->open()); });
}

TEST_CASE("39: a peer that dies within a frame leaves the server as it was") {
  Served s([](std::shared_ptr<Call> c) { c->reply("fine"); });
  const auto whole = RawPeer::encode({FrameKind::request, 0, 1, 0, 2}, to_msgpack(Map{{"method", "x"}}));
  for (std::size_t n = 1; n < whole.size(); ++n) {
    RawPeer p(s.path);
    p.raw(std::span(whole).first(n));
  }
  RawPeer p(s.path);
  p.raw(whole);
  CHECK(p.next_of(FrameKind::reply)->payload.at("ok").text() == "fine");
}

TEST_CASE("39: a frame that does not end in time closes its connection and no other") {
  Served s([](std::shared_ptr<Call> c) { c->reply("fine"); }, {.partial_frame = Millis{50}});
  RawPeer good(s.path);
  RawPeer slow(s.path);
  const auto whole = RawPeer::encode({FrameKind::request, 0, 1, 0, 2}, to_msgpack(Map{{"method", "x"}}));
  slow.raw(std::span(whole).first(whole.size() - 1));
  CHECK(slow.sees_close());
  CHECK(s.log.has("did not end within 50ms"));
  good.request(1, "x");
  CHECK(good.next_of(FrameKind::reply).has_value());
}

TEST_CASE("39: beyond the limit of connections the oldest idle one gives way, a busy one does not") {
  Holder held;
  Served s([&](std::shared_ptr<Call> c) { held(std::move(c)); }, {.connections = 2});
  s.before_end = [&] { held.calls.clear(); };
  RawPeer busy(s.path);
  busy.request(1, "x");
  REQUIRE(held.arrived.wait(1));
  RawPeer idle(s.path);
  REQUIRE(idle.next().has_value());
  RawPeer third(s.path);
  CHECK(idle.sees_close());
  third.request(1, "x");
  REQUIRE(held.arrived.wait(2));
  RawPeer fourth(s.path);
  const auto refusal = fourth.next();
  REQUIRE(refusal.has_value());
  CHECK(refusal->payload.at("error").text() == "too many connections, all of them busy");
  CHECK(fourth.sees_close());
  s.run([&] {
    CHECK(held.calls.at(0)->open());
    CHECK(held.calls.at(1)->open());
  });
}

TEST_CASE("39: a peer that does not read is closed when too much waits for it") {
  Holder held;
  Served s([&](std::shared_ptr<Call> c) { held(std::move(c)); }, {.queued = 1u << 20});
  s.before_end = [&] { held.calls.clear(); };
  RawPeer p(s.path);
  p.request(1, "events");
  REQUIRE(held.arrived.wait(1));
  s.run([&] {
    int sent = 0;
    while (held.calls.at(0)->item(std::string(100'000, 'x'))) ++sent;
    CHECK(sent >= 9);
    CHECK(sent <= 11);
  });
  CHECK(held.cancelled.wait(1));
  CHECK(s.log.has("does not read"));
}

TEST_CASE("a ping is answered with its payload") {
  Served s([](std::shared_ptr<Call>) {});
  RawPeer p(s.path, false);
  p.send(FrameKind::ping, 9, to_msgpack("abc"));
  const auto pong = p.next_of(FrameKind::pong);
  REQUIRE(pong.has_value());
  CHECK(pong->header.stream == 9);
  CHECK(pong->payload.text() == "abc");
}

TEST_CASE("40: another user is refused with one error frame" * doctest::skip(::geteuid() != 0)) {
  Served s([](std::shared_ptr<Call> c) { c->reply(1); });
  REQUIRE(::chmod(s.dir.path.c_str(), 0755) == 0);
  REQUIRE(::chmod(s.path.c_str(), 0666) == 0);
  int fds[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  // In a child: credentials are those of connect(), and a thread's setuid is the whole process's.
  UniqueFd near(fds[0]);
  UniqueFd far(fds[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(3);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    std::memcpy(a.sun_path, s.path.data(), s.path.size());
    if (::connect(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) != 0) ::_exit(4);
    char buffer[4096];
    ssize_t n = 0;
    ssize_t all = 0;
    while (all < 4096 && (n = ::recv(fd, buffer + all, sizeof buffer - static_cast<std::size_t>(all), 0)) > 0)
      all += n;
    ::send(far.get(), buffer, static_cast<std::size_t>(all), MSG_NOSIGNAL);
    ::_exit(0);
  }
  far.reset();
  std::vector<std::byte> bytes(4096);
  const ssize_t n = ::recv(near.get(), bytes.data(), bytes.size(), 0);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 0);
  REQUIRE(n > 0);
  Frame f;
  std::size_t consumed = 0;
  REQUIRE(decode(std::span(bytes).first(static_cast<std::size_t>(n)), f, consumed) == DecodeError::none);
  CHECK(consumed == static_cast<std::size_t>(n));
  CHECK(f.header.stream == kConnectionStream);
  CHECK(from_msgpack(f.payload)->at("error").text() == "user 65534 may not control this daemon");
}

TEST_CASE("without a descriptor left a caller is dropped, and accepted again when there are some") {
  Served s([](std::shared_ptr<Call> c) { c->reply("fine"); });
  RawPeer before(s.path);
  REQUIRE(before.next().has_value());
  UniqueFd late(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un a{};
  a.sun_family = AF_UNIX;
  std::memcpy(a.sun_path, s.path.data(), s.path.size());
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &old) == 0);
  // Below every descriptor that is open: none can be added, the spare one only in its own place.
  std::vector<UniqueFd> filling;
  rlimit tight = old;
  tight.rlim_cur = 64;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
  for (;;) {
    UniqueFd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!fd) break;
    filling.push_back(std::move(fd));
  }
  const int connected = ::connect(late.get(), reinterpret_cast<sockaddr*>(&a), sizeof a);
  char byte = 0;
  const ssize_t n = ::recv(late.get(), &byte, 1, 0);
  filling.clear();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &old) == 0);
  CHECK(connected == 0);
  CHECK(n <= 0);
  CHECK(s.log.has("no descriptor is left"));
  RawPeer after(s.path);
  after.request(1, "x");
  CHECK(after.next_of(FrameKind::reply).has_value());
}
