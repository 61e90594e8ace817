// A keeper that takes the place of a lost one: what it is told, what it can and cannot know.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

#include "core/keeper/heritage.h"
#include "core/keeper/mirror.h"
#include "harness.h"

namespace tend::keeper::test {
namespace {

constexpr Millis kLimit{20'000};

// A process that is no child of the keeper.
struct Orphan {
  pid_t pid = fork();
  Orphan() {
    if (pid == 0) {
      execl("/bin/sleep", "sleep", "1000", nullptr);
      _exit(127);
    }
    REQUIRE(pid > 0);
  }
  ~Orphan() { end(); }
  UniqueFd pidfd() const { return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))); }
  void end() {
    if (pid <= 0) return;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    pid = 0;
  }
};

ino_t inode(int fd) {
  struct stat st {};
  REQUIRE(fstat(fd, &st) == 0);
  return st.st_ino;
}

}  // namespace

TEST_CASE("a successor has what it was given, and its next supervisor is no first one") {
  TestKeeper keeper({.lives = 2, .succeeds = true});
  Orphan app;
  Mirror mirror;
  mirror.asked(1, 1);
  mirror.lives(1, 1, app.pid, app.pidfd());
  mirror.asked(2, 1);  // nothing was heard of it
  mirror.lives(3, 1, 4711, {});
  mirror.lives(4, 1, app.pid, app.pidfd());
  mirror.gone(4, 1);
  const UniqueFd held = unsealed("x");
  REQUIRE(mirror.hold("out/1.1", held.get()));
  REQUIRE(mirror.hold("err/1.1", held.get()));
  mirror.drop("err/1.1");
  const UniqueFd link = keeper.take(0);
  REQUIRE(mirror.hand_over(link.get(), kEpoch, kLimit));

  Peer peer = Peer::greeted(keeper, 1);
  const Report living = peer.next();
  CHECK(living.kind == Kind::spawned);
  CHECK(living.id == 1);
  CHECK(living.a == app.pid);
  REQUIRE(living.fd);
  const Report fd = peer.next();
  CHECK(fd.kind == Kind::held);
  CHECK(fd.name == "out/1.1");
  CHECK(inode(fd.fd.get()) == inode(held.get()));
  const Report synced = peer.next();
  CHECK(synced.kind == Kind::synced);
  CHECK(synced.b == 0);

  // Its end is seen, its status is not.
  peer.send(Kind::signal, 1, 1, SIGTERM);
  int status = 0;
  REQUIRE(waitpid(app.pid, &status, 0) == app.pid);
  CHECK(WTERMSIG(status) == SIGTERM);
  app.pid = 0;
  const Report ended = peer.next();
  CHECK(ended.kind == Kind::exited);
  CHECK(ended.id == 1);
  CHECK(ended.b == kStatusUnknown);
  // A signal that comes too late is none for whoever has the number now.
  peer.send(Kind::signal, 1, 1, SIGKILL);
  peer.send(Kind::ack, 1, 1);
  peer.spawn(program(5, {"/bin/true"}));
  CHECK(peer.next().kind == Kind::spawned);
  CHECK(peer.next().kind == Kind::exited);
}

TEST_CASE("an end before the hand-over was complete counts as well") {
  TestKeeper keeper({.lives = 2, .succeeds = true});
  Orphan app;
  Mirror mirror;
  mirror.lives(7, 3, app.pid, app.pidfd());
  app.end();
  const UniqueFd link = keeper.take(0);
  REQUIRE(mirror.hand_over(link.get(), kEpoch, kLimit));
  Peer peer = Peer::greeted(keeper, 1);
  Report report = peer.next();
  while (report.kind == Kind::spawned || report.kind == Kind::synced) report = peer.next();
  CHECK(report.kind == Kind::exited);
  CHECK(report.id == 7);
  CHECK(report.spawn == 3);
}

TEST_CASE("half a hand-over is none: the next supervisor begins as a first one, with nothing") {
  TestKeeper keeper({.lives = 2, .succeeds = true});
  Orphan app;
  Peer dying(keeper.take(0));
  Message adopt;
  adopt.kind = Kind::adopt;
  adopt.id = adopt.spawn = 1;
  adopt.a = app.pid;
  const UniqueFd pidfd = app.pidfd();
  const int fd = pidfd.get();
  dying.send(adopt, {&fd, 1});
  dying.hold("out/1.1", fd);
  dying.close();
  Peer peer = Peer::greeted(keeper, 1);
  const Report synced = peer.next();
  CHECK(synced.kind == Kind::synced);
  CHECK(synced.b == 1);
}

TEST_CASE("nobody is adopted later, twice, or without a pidfd") {
  TestKeeper keeper;
  Peer peer = Peer::synced(keeper);
  Message adopt;
  adopt.kind = Kind::adopt;
  adopt.id = adopt.spawn = 1;
  adopt.a = 4711;
  const UniqueFd any = unsealed("x");
  const int fd = any.get();
  peer.send(adopt, {&fd, 1});
  const Report late = peer.next();
  CHECK(late.kind == Kind::refused);
  CHECK(late.a == EPERM);

  TestKeeper successor({.lives = 2, .succeeds = true});
  Orphan app;
  const UniqueFd pidfd = app.pidfd();
  const int good = pidfd.get();
  adopt.a = app.pid;
  Peer teller(successor.take(0));
  teller.send(adopt);
  CHECK(teller.next().a == EBADF);
  adopt.a = 1;
  teller.send(adopt, {&good, 1});
  CHECK(teller.next().a == EINVAL);
  adopt.a = app.pid;
  teller.send(adopt, {&good, 1});
  teller.send(adopt, {&good, 1});
  CHECK(teller.next().a == EEXIST);
}

TEST_CASE("what was told of the first keeper's start is read back, and nothing else") {
  Heritage one;
  one.founder = 1234;
  one.defaults.umask = 027;
  one.defaults.nofile = {1024, 524288};
  one.defaults.oom_score_adj = {'-', '1', '7', '\n'};
  one.owner = 77;
  CHECK(heritage_text(one) == "1 1234 27 1024 524288 -17 77");
  CHECK(read_heritage("1 1234 27 1024 524288 -17")->owner == 0);  // an older keeper's
  CHECK(read_heritage(heritage_text(one))->owner == 77);
  const auto back = read_heritage(heritage_text(one));
  REQUIRE(back);
  CHECK(back->founder == 1234);
  CHECK(back->defaults.umask == 027);
  CHECK(back->defaults.nofile.rlim_max == 524288);
  CHECK(std::string(back->defaults.oom_score_adj.data()) == "-17");
  one.defaults.oom_score_adj = {};
  CHECK(read_heritage(heritage_text(one))->defaults.oom_score_adj[0] == '\0');
  for (const char* wrong : {"", "2 1234 27 1024 524288 -", "1 0 27 1024 524288 -", "1 1234 7777 1 2 -",
                            "1 1234 27 1024 512 -", "1 1234 27 1024"}) {
    CAPTURE(wrong);
    CHECK_FALSE(read_heritage(wrong));
  }
}

}  // namespace tend::keeper::test
