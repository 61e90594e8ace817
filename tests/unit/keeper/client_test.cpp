#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>

#include <csignal>
#include <memory>

#include "core/loop/timer.h"
#include "harness.h"

namespace tend::keeper::test {
namespace {

// A supervisor's side on a real loop; `heard` sees each report.
struct Side {
  explicit Side(TestKeeper& keeper, size_t life = 0)
      : watchdog(loop, [this] { loop.stop(); }),
        client(
            loop, keeper.take(life), kEpoch, [this](Report report) { heard(std::move(report)); },
            [this] {
              lost = true;
              loop.stop();
            }) {
    watchdog.start(Millis{20000});
  }
  loop::Loop loop;
  loop::Timer watchdog;
  std::function<void(Report)> heard = [](Report) {};
  bool lost = false;
  Client client;
};

}  // namespace

TEST_CASE("a client's requests keep their order while the keeper's queue is full both ways") {
  constexpr uint32_t kApps = 500;
  TestKeeper keeper({.lives = 2, .send_buffer = 4608});
  uint32_t exits = 0;
  {
    Side side(keeper);
    side.client.hello();
    const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    // Nothing of this is read before run(): most of it waits in the client.
    for (uint32_t i = 1; i <= kApps; ++i) {
      REQUIRE(side.client.hold("n" + std::to_string(i), null.get()));
      REQUIRE(side.client.spawn(program(i, {"/bin/true"})));
      side.client.drop("n" + std::to_string(i - 1));
    }
    uint32_t spawned = 0;
    side.heard = [&](Report report) {
      CHECK(report.kind != Kind::refused);
      if (report.kind == Kind::spawned) ++spawned;
      if (report.kind == Kind::exited) {
        side.client.ack(report.id, report.spawn);
        if (++exits == kApps) side.loop.stop();
      }
    };
    side.loop.run();
    CHECK(spawned == kApps);
  }
  CHECK(exits == kApps);
  Peer second = Peer::greeted(keeper, 1);
  const Report held = second.next();
  CHECK(held.kind == Kind::held);
  CHECK(held.name == "n" + std::to_string(kApps));
  CHECK(second.next().kind == Kind::synced);
}

TEST_CASE("the reports of a keeper of a newer version are told once, as a hello that it refused") {
  UniqueFd ours, theirs;
  REQUIRE(message_pair(ours, theirs));
  loop::Loop loop;
  std::vector<Report> heard;
  Client client(
      loop, std::move(theirs), kEpoch, [&](Report report) { heard.push_back(std::move(report)); },
      [&] { loop.stop(); });
  Message m;
  m.epoch = kEpoch;
  m.kind = Kind::synced;
  m.version = kVersion + 1;
  for (int i = 0; i < 3; ++i) REQUIRE(send_message(ours.get(), m, {}) == 0);
  ours.reset();
  loop.run();
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].kind == Kind::refused);
  CHECK(heard[0].a == EPROTONOSUPPORT);
  CHECK(heard[0].c == static_cast<int64_t>(Kind::hello));
}

TEST_CASE("the client tells once that the keeper is gone") {
  TestKeeper keeper;
  Side side(keeper);
  side.client.hello();
  side.heard = [&](Report report) {
    if (report.kind == Kind::synced) kill(keeper.pid(), SIGKILL);
  };
  side.loop.run();
  CHECK(side.lost);
  side.client.ack(1, 1);
  CHECK(side.client.spawn(program(1, {"/bin/true"})));
}

TEST_CASE("the client answers terminate by itself, so that the keeper knows it lives") {
  TestKeeper keeper;
  Side side(keeper);
  side.client.hello();
  side.heard = [&](Report report) {
    if (report.kind == Kind::synced) kill(keeper.pid(), SIGTERM);
    if (report.kind == Kind::terminate) {
      CHECK(report.a == SIGTERM);
      side.client.shutdown();
      side.loop.stop();
    }
  };
  side.loop.run();
  CHECK_FALSE(side.lost);
}

TEST_CASE("a request that cannot be packed is an error and sends nothing") {
  TestKeeper keeper;
  Side side(keeper);
  SpawnRequest huge = program(1, {"/bin/true", std::string(kMaxBlob, 'x')});
  CHECK_FALSE(side.client.spawn(huge));
  SpawnRequest nul = program(1, {"/bin/true", std::string("a\0b", 3)});
  CHECK_FALSE(side.client.spawn(nul));
  SpawnRequest crowd = program(1, {"/bin/true"});
  crowd.groups.resize(65);
  CHECK_FALSE(side.client.spawn(crowd));
  SpawnRequest many = program(1, {"/bin/true"});
  many.child_fds.assign(kMaxFdsPerMessage, 0);
  CHECK_FALSE(side.client.spawn(many));
  SpawnRequest closed = program(1, {"/bin/true"});
  closed.child_fds = {1 << 20};
  CHECK_FALSE(side.client.spawn(closed));
  CHECK_FALSE(side.client.hold(std::string(kNameSize, 'n'), 0));
  CHECK_FALSE(side.client.hold("", 0));
  side.client.hello();
  std::vector<Kind> kinds;
  side.heard = [&](Report report) {
    kinds.push_back(report.kind);
    side.loop.stop();
  };
  side.loop.run();
  CHECK(kinds == std::vector<Kind>{Kind::synced});
}

}  // namespace tend::keeper::test
