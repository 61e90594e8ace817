// A keeper that goes on from what a former program of its process left, and one that is asked for what it
// cannot do.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "core/keeper/keeper.h"
#include "core/keeper/state.h"
#include "harness.h"

namespace tend::keeper {
namespace {

using namespace test;

// As the child of a spawn: the error pipe closes when it is executed.
pid_t born(int wait_for, const char* script) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  char byte = 0;
  if (wait_for >= 0 && read(wait_for, &byte, 1) != 1) _exit(1);
  signal(SIGTERM, SIG_DFL);
  execl("/bin/sh", "sh", "-c", script, nullptr);
  _exit(127);
}

}  // namespace

TEST_CASE(
    "what a former program left goes on: a pending spawn, a living child, an end that nobody saw, what is "
    "held") {
  int go[2];
  REQUIRE(pipe2(go, O_CLOEXEC) == 0);
  const UniqueFd wait_end(go[0]), go_end(go[1]);
  Setup setup;
  setup.begin = [&](Keeper& keeper) {
    static EntryTable entries;  // what they own is the keeper's afterwards
    static FdTable held;
    int pipe[2];
    if (pipe2(pipe, O_CLOEXEC | O_NONBLOCK) != 0) _exit(95);
    Entry& pending = *entries.add(1, 3);
    pending.pid = born(go[0], "exec sleep 1000");
    pending.error_pipe.reset(pipe[0]);
    close(pipe[1]);
    Entry& living = *entries.add(2, 1);
    living.pid = born(-1, "exec sleep 1000");
    living.state = Entry::State::live;
    Entry& ended = *entries.add(3, 1);
    ended.pid = born(-1, "exit 5");
    ended.state = Entry::State::live;
    siginfo_t info{};
    waitid(P_PID, static_cast<id_t>(ended.pid), &info, WEXITED | WNOWAIT);
    Entry& owed = *entries.add(4, 2);
    owed.state = Entry::State::exited;
    owed.pid = 4711;
    owed.result = 256;
    held.hold("slots", unsealed("seven"));
    StateHead head;
    head.started = 1234567;
    head.upgrades = 2;
    const auto file = write_state(head, entries, held);
    const auto state = StateReader::open(file ? file->get() : -1);
    if (!state) _exit(94);
    keeper.restore(*state);
  };
  TestKeeper keeper(setup);
  Peer peer = Peer::greeted(keeper);
  std::vector<Report> told;
  do {
    told.push_back(peer.next());
    REQUIRE(told.back().kind != Kind{});
  } while (told.back().kind != Kind::synced);
  REQUIRE(told.size() == 6);
  CHECK(told[0].kind == Kind::spawn_pending);
  CHECK(told[0].spawn == 3);
  CHECK(told[1].kind == Kind::spawned);
  CHECK(told[1].id == 2);
  CHECK(told[2].kind == Kind::exited);
  CHECK(told[2].b == 5 << 8);
  CHECK(told[3].kind == Kind::exited);
  CHECK(told[3].a == 4711);
  CHECK(told[3].b == 256);
  CHECK(told[4].name == "slots");
  lseek(told[4].fd.get(), 0, SEEK_SET);
  CHECK(read_all(told[4].fd.get()) == "seven");
  CHECK(told[5].b == 0);
  CHECK(told[5].c == 1234567);
  CHECK(told[5].id == 2);
  CHECK(told[5].name == TEND_VERSION);

  REQUIRE(write(go_end.get(), "g", 1) == 1);
  const Report executed = peer.next();
  CHECK(executed.kind == Kind::spawned);
  CHECK(executed.id == 1);
  for (const uint32_t id : {1u, 2u}) {
    peer.send(Kind::signal, id, id == 1 ? 3 : 1, SIGKILL);
    const Report end = peer.next();
    CHECK(end.kind == Kind::exited);
    CHECK(end.id == id);
    CHECK(end.b == SIGKILL);
  }
}

TEST_CASE(
    "an upgrade without a program, or of a keeper without a home, is refused and nothing else happens") {
  TestKeeper keeper;
  Peer peer = Peer::synced(keeper);
  peer.send(Kind::upgrade);
  Report refused = peer.next();
  CHECK(refused.kind == Kind::refused);
  CHECK(refused.a == EBADF);
  CHECK(refused.c == static_cast<int64_t>(Kind::upgrade));
  const UniqueFd program(open("/bin/true", O_PATH | O_CLOEXEC));
  Message m;
  m.kind = Kind::upgrade;
  const int fd = program.get();
  peer.send(m, {&fd, 1});
  refused = peer.next();
  CHECK(refused.a == EOPNOTSUPP);
  CHECK(output_of(peer, shell(1, "echo fine")) == "fine\n");
}

}  // namespace tend::keeper
