// The keeper's whole life, with a shell script for a supervisor.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/keeper/home_lock.h"
#include "core/keeper/main.h"
#include "harness.h"

namespace tend::keeper::test {
namespace {

// Tells its facts through a FIFO, one line a life, then waits to be killed.
constexpr char kScript[] =
    "#!/bin/sh\n"
    "for i in 0 3 4 5 6 7 8 9 11 12 13; do [ -L /proc/$$/fd/$i ] && fds=$fds$i,; done\n"
    "echo $$ $1 $2 $TEND_EPOCH $(umask) $fds $(pwd) >> \"$1/lives\"\n"
    "exec sleep 1000\n";

struct Home {
  Home() {
    // Longer than a socket's name can be.
    dir = temp.path + "/" + std::string(120, 'h');
    script = temp.path + "/supervisor";
    std::ofstream(script) << kScript;
    REQUIRE(chmod(script.c_str(), 0755) == 0);
    REQUIRE(mkdir(dir.c_str(), 0700) == 0);
    REQUIRE(mkfifo((dir + "/lives").c_str(), 0600) == 0);
    lives.reset(open((dir + "/lives").c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(lives);
  }
  // Returns what came through ready_fd until its end.
  std::string start(pid_t& pid) {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd ours(ends[0]);
    pid = fork();
    if (pid == 0) {
      Options options;
      options.home.dir = dir;
      options.ready_fd = ends[1];
      options.self = script.c_str();
      _exit(run(options));
    }
    ::close(ends[1]);
    return read_all(ours.get());
  }
  std::istringstream next_life() {
    std::string line;
    for (char c = 0; read(lives.get(), &c, 1) == 1 && c != '\n';) line += c;
    return std::istringstream(line);
  }
  bool connects() {
    const UniqueFd at(open(dir.c_str(), O_PATH | O_CLOEXEC));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = "/proc/self/fd/" + std::to_string(at.get()) + "/tend.sock";
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const UniqueFd s(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return connect(s.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  TempDir temp;
  std::string dir, script;
  UniqueFd lives;
};

}  // namespace

TEST_CASE("a keeper serves its home alone, restarts its supervisor and binds a lost socket again") {
  Home home;
  pid_t pid = -1;
  CHECK(home.start(pid) == "1");
  struct stat st {};
  CHECK(stat((home.dir + "/tend.sock").c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0600);
  CHECK(home.connects());

  pid_t first = 0, second = 0, third = 0;
  std::string dir, layout, epoch, mask, fds, cwd;
  home.next_life() >> first >> dir >> layout >> epoch >> mask >> fds >> cwd;
  CHECK(dir == home.dir);
  CHECK(layout == "tend");
  CHECK(epoch.size() == 16);
  CHECK(mask == "0077");
  CHECK(fds == "0,3,4,");
  CHECK(cwd == "/");

  pid_t other = -1;
  CHECK(home.start(other) == std::string(1, kAnotherKeeper));
  int status = -1;
  REQUIRE(waitpid(other, &status, 0) == other);
  CHECK(status == 0);

  REQUIRE(unlink((home.dir + "/tend.sock").c_str()) == 0);
  kill(first, SIGKILL);
  std::string same_epoch;
  home.next_life() >> second >> dir >> layout >> same_epoch;
  CHECK(second != first);
  CHECK(same_epoch == epoch);
  CHECK(home.connects());
  kill(second, SIGKILL);
  home.next_life() >> third;
  CHECK(third > 0);

  kill(pid, SIGTERM);  // the script never says hello
  REQUIRE(waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(kill(third, 0) == -1);
  CHECK(access((home.dir + "/tend.sock").c_str(), F_OK) != 0);
}

TEST_CASE("a thousand held names cost a keeper less than 1 MiB") {
  TestKeeper keeper;
  Peer peer = Peer::synced(keeper);
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto anonymous = [&] {
    std::ifstream in("/proc/" + std::to_string(keeper.pid()) + "/status");
    std::string word;
    long kib = -1;
    while (in >> word) {
      if (word == "RssAnon:") in >> kib;
    }
    return kib;
  };
  const long before = anonymous();
  for (int i = 0; i < 1000; ++i) peer.hold("some.longer.name.of.a.log." + std::to_string(i), null.get());
  peer.send(Kind::signal, 1, 1, 0);
  CHECK(peer.next().kind == Kind::refused);  // all of it was taken
  CHECK(anonymous() - before < 1024);
}

TEST_CASE("a home of somebody else is refused") {
  if (geteuid() != 0) {
    MESSAGE("skipped: needs root");
    return;
  }
  const TempDir dir;
  REQUIRE(chmod(dir.path.c_str(), 0777) == 0);
  const pid_t pid = fork();
  if (pid == 0) {
    if (setresuid(65534, 65534, 65534) != 0) _exit(2);
    const auto lock = HomeLock::take(dir.path);
    _exit(!lock && lock.error().code == EPERM ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  CHECK(status == 0);
}

TEST_CASE("a missing home is made for its owner only, and its lock is free again after its holder") {
  const TempDir dir;
  const std::string deep = dir.path + "/a/b";
  {
    const auto lock = HomeLock::take(deep);
    REQUIRE(lock);
    REQUIRE(lock->has_value());
    struct stat st {};
    REQUIRE(stat(deep.c_str(), &st) == 0);
    CHECK((st.st_mode & 07777) == 0700);
    const auto taken = HomeLock::take(deep);
    REQUIRE(taken);
    CHECK_FALSE(taken->has_value());
  }
  const auto again = HomeLock::take(deep);
  REQUIRE(again);
  CHECK(again->has_value());
}

}  // namespace tend::keeper::test
