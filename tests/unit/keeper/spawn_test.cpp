#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>

#include "harness.h"

namespace tend::keeper::test {

TEST_CASE("a process is reported spawned with its pid, then exited with its status") {
  TestKeeper keeper;
  Peer peer = Peer::synced(keeper);
  peer.spawn(shell(7, "exit 3"));
  const Report spawned = peer.next();
  CHECK(spawned.kind == Kind::spawned);
  CHECK(spawned.id == 7);
  CHECK(spawned.spawn == 1);
  CHECK(spawned.a > 1);
  const Report exited = peer.next();
  CHECK(exited.kind == Kind::exited);
  CHECK(exited.id == 7);
  CHECK(exited.a == spawned.a);
  CHECK(WIFEXITED(static_cast<int>(exited.b)));
  CHECK(WEXITSTATUS(static_cast<int>(exited.b)) == 3);
  CHECK(exited.c > 0);
}

TEST_CASE("a signal request reaches the main process and its death tells the signal") {
  TestKeeper keeper;
  Peer peer = Peer::synced(keeper);
  peer.spawn(program(1, {"/bin/sleep", "1000"}));
  const Report spawned = peer.next();
  REQUIRE(spawned.kind == Kind::spawned);
  CHECK(getsid(static_cast<pid_t>(spawned.a)) == static_cast<pid_t>(spawned.a));
  peer.send(Kind::signal, 1, 1, SIGUSR1);
  const Report exited = peer.next();
  CHECK(exited.kind == Kind::exited);
  CHECK(WTERMSIG(static_cast<int>(exited.b)) == SIGUSR1);
}

TEST_CASE("each way in which exec fails is reported with its errno and step, and no exit follows") {
  const TempDir dir;
  std::ofstream(dir.path + "/plain") << "echo\n";
  std::ofstream(dir.path + "/no-shebang") << "echo\n";
  REQUIRE(chmod((dir.path + "/plain").c_str(), 0644) == 0);
  REQUIRE(chmod((dir.path + "/no-shebang").c_str(), 0755) == 0);
  TestKeeper keeper;
  Peer peer = Peer::synced(keeper);
  const auto expect = [&](const SpawnRequest& request, int code, Step step) {
    CAPTURE(request.path);
    peer.spawn(request);
    const Report report = peer.next();
    CHECK(report.kind == Kind::spawn_failed);
    CHECK(report.id == request.id);
    CHECK(report.a == code);
    CHECK(report.b == static_cast<int64_t>(step));
  };
  expect(program(1, {dir.path + "/missing"}), ENOENT, Step::exec);
  expect(program(2, {dir.path + "/plain"}), EACCES, Step::exec);
  expect(program(3, {dir.path + "/no-shebang"}), ENOEXEC, Step::exec);
  SpawnRequest nowhere = program(4, {"/bin/true"});
  nowhere.cwd = dir.path + "/missing";
  expect(nowhere, ENOENT, Step::directory);
  SpawnRequest lavish = program(5, {"/bin/true"});
  lavish.nofile = int64_t{1} << 40;
  expect(lavish, EPERM, Step::limits);
  SpawnRequest outside = program(6, {"/bin/true"});
  const UniqueFd no_cgroup(open(dir.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  outside.cgroup_fd = no_cgroup.get();
  expect(outside, ENOENT, Step::cgroup);
  // Whatever the failed ones left would come before this.
  peer.spawn(shell(9, "exit 0"));
  CHECK(peer.next().id == 9);
  CHECK(peer.next().id == 9);
}

TEST_CASE("a spawn that is repeated starts no second process and answers what is known") {
  const TempDir dir;
  TestKeeper keeper;
  Peer peer = Peer::synced(keeper);
  const SpawnRequest request = shell(1, "echo once >>" + dir.path + "/log; kill -STOP $$");
  peer.spawn(request);
  const Report first = peer.next();
  REQUIRE(first.kind == Kind::spawned);
  peer.spawn(request);
  const Report again = peer.next();
  CHECK(again.kind == Kind::spawned);
  CHECK(again.a == first.a);
  peer.send(Kind::signal, 1, 1, SIGCONT);
  peer.send(Kind::signal, 1, 1, SIGKILL);
  CHECK(peer.next().kind == Kind::exited);
  peer.spawn(request);
  CHECK(peer.next().kind == Kind::exited);
  peer.spawn(shell(2, "exit 0"));
  CHECK(peer.next().id == 2);
}

TEST_CASE("the child holds the given descriptors in their order and none else") {
  for (const bool old_kernel : {false, true}) {
    CAPTURE(old_kernel);
    TestKeeper keeper({.old_kernel = old_kernel});
    Peer peer = Peer::synced(keeper);
    const UniqueFd held(open("/dev/null", O_RDONLY | O_CLOEXEC));
    for (int i = 0; i < 20; ++i) peer.hold("h" + std::to_string(i), held.get());
    const UniqueFd three = unsealed("third"), four = unsealed("fourth");
    lseek(three.get(), 0, SEEK_SET);
    lseek(four.get(), 0, SEEK_SET);
    SpawnRequest request = program(1, {"/bin/ls", "/proc/self/fd"});
    request.child_fds = {three.get(), four.get()};
    CHECK(output_of(peer, request) == "0\n1\n2\n3\n4\n5\n");  // 5: the directory that ls reads
    SpawnRequest reader = shell(2, "cat <&4; cat <&3");
    reader.child_fds = {three.get(), four.get()};
    CHECK(output_of(peer, reader) == "fourththird");
  }
}

TEST_CASE("a child that was given no descriptors still has three that lead nowhere") {
  const TempDir dir;
  TestKeeper keeper;
  Peer peer = Peer::synced(keeper);
  peer.spawn(
      shell(1, "x=$(readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2); echo \"$x\" >" + dir.path + "/out"));
  CHECK(peer.next().kind == Kind::spawned);
  CHECK(peer.next().kind == Kind::exited);
  std::ifstream in(dir.path + "/out");
  CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == "/dev/null\n/dev/null\n/dev/null\n");
}

TEST_CASE("the child blocks and ignores no signal, though the keeper does") {
  for (const bool old_kernel : {false, true}) {
    TestKeeper keeper({.old_kernel = old_kernel});
    Peer peer = Peer::synced(keeper);
    CHECK(output_of(peer, program(1, {"/bin/grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"})) ==
          "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  }
}

TEST_CASE(
    "umask, limit, niceness and the own pid in the environment are as asked, else as the keeper found them") {
  TestKeeper keeper;
  Peer peer = Peer::synced(keeper);
  CHECK(output_of(peer, shell(1, "umask")) == "0027\n");
  SpawnRequest request =
      shell(2, "umask; ulimit -Sn; nice; test $LISTEN_PID$WATCHDOG_PID = $$$$ && echo mine; pwd");
  request.umask = 077;
  request.nofile = 64;
  request.nice = 5;
  request.cwd = "/usr";
  request.env.push_back("LISTEN_PID=");
  request.env.push_back("WATCHDOG_PID=");
  CHECK(output_of(peer, request) == "0077\n64\n5\nmine\n/usr\n");
}

TEST_CASE("the child gets the identity and the groups, and only those") {
  if (geteuid() != 0) {
    MESSAGE("skipped: needs root");
    return;
  }
  TestKeeper keeper;
  Peer peer = Peer::synced(keeper);
  SpawnRequest request = program(1, {"/bin/grep", "-E", "^(Uid|Gid|Groups)", "/proc/self/status"});
  request.uid = 65534;
  request.gid = 65533;
  request.groups = {4242, 65533};
  CHECK(output_of(peer, request) ==
        "Uid:\t65534\t65534\t65534\t65534\nGid:\t65533\t65533\t65533\t65533\nGroups:\t4242 65533 \n");
}

TEST_CASE("orphans of an app are reaped without a word") {
  TestKeeper keeper;
  Peer peer = Peer::synced(keeper);
  int gate[2];
  REQUIRE(pipe2(gate, O_CLOEXEC) == 0);
  const UniqueFd read_end(gate[0]);
  UniqueFd write_end(gate[1]);
  SpawnRequest request = shell(1, "(read x <&3) >/dev/null 2>&1 & echo $!");
  request.child_fds = {read_end.get()};
  const auto orphan = static_cast<pid_t>(std::stol(output_of(peer, request)));
  CHECK(peer.next().kind == Kind::spawned);
  CHECK(peer.next().kind == Kind::exited);
  const UniqueFd watched(static_cast<int>(syscall(SYS_pidfd_open, orphan, 0)));
  REQUIRE(watched);
  write_end.reset();
  // A pidfd is readable from the exit on, ESRCH comes with the reaping; the keeper answers between them.
  for (uint32_t i = 2; kill(orphan, 0) == 0 && i < 500; ++i) {
    peer.spawn(program(i, {"/bin/true"}));
    const Report a = peer.next(), b = peer.next();
    CHECK(a.id == i);
    CHECK(b.id == i);
  }
  CHECK(kill(orphan, 0) == -1);
}

TEST_CASE("a supervisor that does not read loses no report and gets each once") {
  constexpr uint32_t kApps = 100;
  TestKeeper keeper({.send_buffer = 4608});
  Peer peer = Peer::synced(keeper);
  // As many as fit into its queue towards the keeper, which stops reading while its own queue is full.
  for (uint32_t i = 1; i <= kApps; ++i) peer.spawn(program(i, {"/bin/true"}));
  std::vector<int> spawned(kApps + 1), exited(kApps + 1);
  for (uint32_t i = 0; i < 2 * kApps; ++i) {
    const Report report = peer.next();
    REQUIRE(report.id >= 1);
    REQUIRE(report.id <= kApps);
    if (report.kind == Kind::spawned) ++spawned[report.id];
    if (report.kind == Kind::exited) {
      CHECK(spawned[report.id] == 1);
      ++exited[report.id];
    }
  }
  for (uint32_t i = 1; i <= kApps; ++i) CHECK(exited[i] == 1);
}

}  // namespace tend::keeper::test
