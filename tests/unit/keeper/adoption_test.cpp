#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>

#include "harness.h"

namespace tend::keeper::test {
namespace {

ino_t inode(int fd) {
  struct stat st {};
  REQUIRE(fstat(fd, &st) == 0);
  return st.st_ino;
}

}  // namespace

TEST_CASE("reports are kept until acknowledged, over the lives of supervisors") {
  TestKeeper keeper({.lives = 3});
  Peer first = Peer::greeted(keeper, 0);
  const Report hello = first.next();
  CHECK(hello.kind == Kind::synced);
  CHECK(hello.a == keeper.pid());
  CHECK(hello.b == 1);
  first.spawn(shell(1, "exit 4"));
  CHECK(first.next().kind == Kind::spawned);
  CHECK(first.next().kind == Kind::exited);
  first.spawn(program(2, {"/missing"}));
  CHECK(first.next().kind == Kind::spawn_failed);
  first.spawn(program(3, {"/bin/sleep", "1000"}));
  const Report living = first.next();
  REQUIRE(living.kind == Kind::spawned);
  first.close();  // noticed nothing

  Peer second = Peer::greeted(keeper, 1);
  const Report exited = second.next();
  CHECK(exited.kind == Kind::exited);
  CHECK(exited.id == 1);
  CHECK(WEXITSTATUS(static_cast<int>(exited.b)) == 4);
  const Report failed = second.next();
  CHECK(failed.kind == Kind::spawn_failed);
  CHECK(failed.a == ENOENT);
  const Report alive = second.next();
  CHECK(alive.kind == Kind::spawned);
  CHECK(alive.a == living.a);
  const Report synced = second.next();
  CHECK(synced.kind == Kind::synced);
  CHECK(synced.b == 0);
  CHECK(synced.c == hello.c);
  second.send(Kind::ack, 1, 1);
  second.send(Kind::ack, 2, 1);
  second.send(Kind::ack, 99, 1);  // unknown: no matter
  second.send(Kind::signal, 3, 1, SIGKILL);
  second.close();  // what it sent still counts

  Peer third = Peer::greeted(keeper, 2);
  Report last = third.next();
  if (last.kind == Kind::spawned) {  // its death was not seen yet at hello
    CHECK(third.next().kind == Kind::synced);
    last = third.next();
  }
  CHECK(last.kind == Kind::exited);
  CHECK(last.id == 3);
  CHECK(WTERMSIG(static_cast<int>(last.b)) == SIGKILL);
}

TEST_CASE("a later spawn of the same instance is reported after the former one") {
  TestKeeper keeper({.lives = 2});
  Peer first = Peer::synced(keeper, 0);
  SpawnRequest request = shell(5, "exit 1");
  for (request.spawn = 1; request.spawn <= 4; ++request.spawn) {
    first.spawn(request);
    CHECK(first.next().kind == Kind::spawned);
    CHECK(first.next().kind == Kind::exited);
  }
  first.send(Kind::ack, 5, 2);
  first.close();
  Peer second = Peer::greeted(keeper, 1);
  for (const uint32_t expected : {1u, 3u, 4u}) CHECK(second.next().spawn == expected);
  CHECK(second.next().kind == Kind::synced);
}

TEST_CASE("held descriptors come back by name and in order, replaced and dropped ones as the last word was") {
  TestKeeper keeper({.lives = 2});
  Peer first = Peer::synced(keeper, 0);
  const UniqueFd a = unsealed("a"), b = unsealed("b"), c = unsealed("c"), d = unsealed("d");
  first.hold("one", a.get());
  first.hold("two", b.get());
  first.hold("three", c.get());
  first.hold("one", d.get());
  first.drop("two");
  first.drop("never");
  first.close();
  Peer second = Peer::greeted(keeper, 1);
  const Report one = second.next();
  CHECK(one.kind == Kind::held);
  CHECK(one.name == "one");
  REQUIRE(one.fd);
  CHECK(inode(one.fd.get()) == inode(d.get()));
  CHECK((fcntl(one.fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  const Report three = second.next();
  CHECK(three.name == "three");
  CHECK(inode(three.fd.get()) == inode(c.get()));
  CHECK(second.next().kind == Kind::synced);
}

TEST_CASE("a thousand held descriptors come back in order through a small queue") {
  TestKeeper keeper({.lives = 2, .send_buffer = 4608});
  Peer first = Peer::synced(keeper, 0);
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (int i = 0; i < 1000; ++i) first.hold("log." + std::to_string(i), null.get());
  first.close();
  Peer second = Peer::greeted(keeper, 1);
  for (int i = 0; i < 1000; ++i) {
    const Report report = second.next();
    REQUIRE(report.kind == Kind::held);
    REQUIRE(report.name == "log." + std::to_string(i));
    REQUIRE(report.fd);
  }
  CHECK(second.next().kind == Kind::synced);
}

TEST_CASE("descriptors beyond what may be under way at once arrive when there is room again") {
  TestKeeper keeper({.lives = 3, .files = 300});
  Peer first = Peer::synced(keeper, 0);
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (int i = 0; i < 200; ++i) first.hold(std::to_string(i), null.get());
  first.close();
  // The second dies with its 200 unread, which still count; the third may have about 100 under way.
  Peer second = Peer::greeted(keeper, 1);
  REQUIRE(shutdown(second.fd(), SHUT_WR) == 0);
  Peer third = Peer::greeted(keeper, 2);
  for (int i = 0; i < 200; ++i) REQUIRE(third.next().name == std::to_string(i));
  CHECK(third.next().kind == Kind::synced);
  for (int i = 0; i < 200; ++i) REQUIRE(second.next().fd);
}

TEST_CASE("as many descriptors as the limit allows, up to twenty thousand, are held and given back") {
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlimit more{limit.rlim_max, limit.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &more) == 0);
  const int many = static_cast<int>(std::min<rlim_t>(20000, limit.rlim_max - 50));
  TestKeeper keeper({.lives = 2});
  REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  Peer first = Peer::synced(keeper, 0);
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (int i = 0; i < many; ++i) first.hold(std::to_string(i), null.get());
  first.spawn(program(1, {"/bin/true"}));  // with all of them open
  CHECK(first.next().kind == Kind::spawned);
  CHECK(first.next().kind == Kind::exited);
  first.send(Kind::ack, 1, 1);
  first.close();
  Peer second = Peer::greeted(keeper, 1);
  for (int i = 0; i < many; ++i) REQUIRE(second.next().name == std::to_string(i));
  CHECK(second.next().kind == Kind::synced);
  for (int i = 0; i < many; ++i) second.drop(std::to_string(i));
  second.spawn(program(2, {"/bin/true"}));
  CHECK(second.next().kind == Kind::spawned);
}

TEST_CASE("a signal is reported as terminate, again to the next supervisor, and shutdown ends the keeper") {
  TestKeeper keeper({.lives = 2});
  Peer first = Peer::synced(keeper, 0);
  REQUIRE(kill(keeper.pid(), SIGINT) == 0);
  const Report asked = first.next();
  CHECK(asked.kind == Kind::terminate);
  CHECK(asked.a == SIGINT);
  first.close();
  Peer second = Peer::greeted(keeper, 1);
  CHECK(second.next().kind == Kind::synced);
  CHECK(second.next().kind == Kind::terminate);
  second.send(Kind::shutdown);
  second.close();
  const int status = keeper.wait();
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("without a supervisor a signal to the keeper ends the apps, then the keeper") {
  TestKeeper keeper;
  Peer peer = Peer::synced(keeper);
  peer.spawn(program(1, {"/bin/sleep", "1000"}));
  const Report spawned = peer.next();
  REQUIRE(spawned.kind == Kind::spawned);
  peer.close();
  REQUIRE(kill(keeper.pid(), SIGTERM) == 0);
  const int status = keeper.wait();
  CHECK(WIFEXITED(status));
  CHECK(kill(static_cast<pid_t>(spawned.a), 0) == -1);
}

TEST_CASE(
    "if the supervisor does not stir, stubborn apps and their orphans are killed, then the keeper ends") {
  TestKeeper keeper({.patience_ms = 50});
  Peer peer = Peer::synced(keeper);
  SpawnRequest request =
      shell(1, "trap '' TERM; setsid sleep 1000 >/dev/null 2>&1 & echo $!; exec sleep 1001 >&- 2>&-");
  const auto orphan = static_cast<pid_t>(std::stol(output_of(peer, request)));
  const Report spawned = peer.next();
  REQUIRE(spawned.kind == Kind::spawned);
  REQUIRE(kill(keeper.pid(), SIGQUIT) == 0);
  CHECK(peer.next().kind == Kind::terminate);
  // Says nothing.
  const int status = keeper.wait();
  CHECK(WIFEXITED(status));
  CHECK(kill(static_cast<pid_t>(spawned.a), 0) == -1);
  CHECK(kill(orphan, 0) == -1);
}

TEST_CASE("a supervisor that stirs once may take as long as it needs") {
  TestKeeper keeper({.patience_ms = 1});
  Peer peer = Peer::synced(keeper);
  peer.spawn(program(1, {"/bin/sleep", "1.3"}));  // beyond both deadlines
  CHECK(peer.next().kind == Kind::spawned);
  REQUIRE(kill(keeper.pid(), SIGTERM) == 0);
  CHECK(peer.next().kind == Kind::terminate);
  peer.send(Kind::ack);
  const Report exited = peer.next();
  CHECK(exited.kind == Kind::exited);
  CHECK(WIFEXITED(static_cast<int>(exited.b)));
  peer.send(Kind::shutdown);
  peer.close();
  CHECK(keeper.wait() == 0);
}

}  // namespace tend::keeper::test
