#include "core/tree/process_tree.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/loop/timer.h"

namespace tend::tree {
namespace {

class Quiet final : public Log {
 public:
  void info(std::string_view) override {}
  void warn(std::string_view) override {}
  void error(std::string_view) override {}
};

std::string mark() { return "TEND_HOME=/home/test-" + std::to_string(::getpid()); }
Lineage me() { return {::getpid(), ::getpid()}; }

// The test stands in for the keeper: a subreaper whose children lead their own sessions.
struct Fixture {
  loop::Loop loop;
  Quiet log;
  std::unique_ptr<ProcessTree> tree;
  std::vector<std::pair<uint32_t, uint32_t>> used;

  explicit Fixture(bool groups) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (!groups) ::setenv("TEND_NO_CGROUP", "1", 1);
    tree = std::make_unique<ProcessTree>(loop, log, "/home/test-" + std::to_string(::getpid()), mark(), me());
    ::unsetenv("TEND_NO_CGROUP");
  }
  ~Fixture() {
    for (const auto& [id, spawn] : used) {
      tree->kill({id, spawn, 0});
      while (::waitpid(-1, nullptr, WNOHANG) > 0) {
      }
      tree->release(id, spawn);
    }
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
    for (const auto& [id, spawn] : used) tree->release(id, spawn);
  }

  // Runs `script` by sh; returns once the script wrote a byte to descriptor 9, so that its children exist.
  Member start(uint32_t id, const char* script) {
    used.emplace_back(id, 1u);
    const UniqueFd group = tree->make_group(id, 1);
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    UniqueFd in(ends[0]), out(ends[1]);
    clone_args args{};
    args.exit_signal = SIGCHLD;
    if (group) {
      args.flags = CLONE_INTO_CGROUP;
      args.cgroup = static_cast<uint64_t>(group.get());
    }
    const long pid = ::syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
      ::setsid();
      ::dup2(out.get(), 9);
      const std::string tag = "TEND_ID=" + std::to_string(id) + ".1";
      ::putenv(const_cast<char*>(tag.c_str()));
      ::execl("/bin/sh", "sh", "-c", script, nullptr);
      ::_exit(127);
    }
    REQUIRE(pid > 0);
    out.reset();
    char byte = 0;
    REQUIRE(::read(in.get(), &byte, 1) == 1);
    return {id, 1, static_cast<int>(pid)};
  }

  // One turn of the loop: what the walk saw before is looked at anew.
  void turn() {
    loop.defer([this] { loop.stop(); });
    loop.run();
  }

  // Awaits the end of the tree; false when it did not come within 5 s. Reaps as the keeper would.
  bool gone(const Member& m, bool sweep) {
    bool empty = false, inside = true;
    loop::Timer limit(loop, [&] { loop.stop(); });
    limit.start({5000});
    tree->await_empty(m, sweep, [&] {
      CHECK_FALSE(inside);
      empty = true;
      loop.stop();
    });
    inside = false;
    loop.run();
    return empty;
  }
};

bool has(const std::vector<int>& pids, int pid) {
  return std::find(pids.begin(), pids.end(), pid) != pids.end();
}

bool cgroups_here() {
  loop::Loop loop;
  Quiet log;
  ProcessTree tree(loop, log, "/probe", mark(), me());
  const bool any = static_cast<bool>(tree.make_group(1, 1));
  tree.release(1, 1);
  return any;
}

// Each behaviour must hold both ways.
template <class Test>
void both_ways(Test test) {
  SUBCASE("by a walk over /proc") { test(false); }
  SUBCASE("by cgroup") {
    if (!cgroups_here()) {
      MESSAGE("skipped: no writable cgroup v2");
      return;
    }
    test(true);
  }
}

TEST_CASE("a signal reaches children and grandchildren, the main process last") {
  both_ways([](bool groups) {
    Fixture f(groups);
    const Member m = f.start(7, "sh -c 'sleep 100 & echo >&9; wait' & wait");
    const auto before = f.tree->members(m);
    CHECK(before.size() == 3);
    CHECK(before.back() == m.main_pid);
    // Harmless: a shell whose child was killed may end by itself before its own turn comes.
    CHECK(f.tree->signal(m, SIGCONT) == before);
    f.tree->signal(m, SIGKILL);
    CHECK(f.gone(m, false));
    CHECK(f.tree->members(m).empty());
  });
}

TEST_CASE("a daemonised grandchild in its own session is found after the main process ended") {
  both_ways([](bool groups) {
    Fixture f(groups);
    const Member m = f.start(8, "setsid sh -c 'sleep 100 & echo >&9; wait' & sleep 100");
    CHECK(f.tree->members(m).size() == 4);
    ::kill(m.main_pid, SIGKILL);
    ::waitpid(m.main_pid, nullptr, 0);
    f.turn();
    CHECK(f.tree->members({m.id, m.spawn, 0}).size() == 3);
    CHECK(f.tree->members(m).size() == 3);
    CHECK(f.gone(m, true));
    CHECK(f.tree->members(m).empty());
  });
}

TEST_CASE("the wait does not end while one process of the tree is alive") {
  both_ways([](bool groups) {
    Fixture f(groups);
    const Member m = f.start(9, "setsid sh -c 'echo >&9; sleep 0.4' & wait");
    ::kill(m.main_pid, SIGKILL);
    const auto left = f.tree->members(m);
    CHECK(left.size() >= 1);
    CHECK(f.gone(m, false));
    CHECK(f.tree->members(m).empty());
  });
}

TEST_CASE("an empty tree is gone at once, but never inside the call") {
  both_ways([](bool groups) {
    Fixture f(groups);
    const Member m = f.start(10, "echo >&9");
    ::waitpid(m.main_pid, nullptr, 0);
    CHECK(f.gone(m, false));
  });
}

TEST_CASE("another app's processes are never touched") {
  both_ways([](bool groups) {
    Fixture f(groups);
    const Member a = f.start(11, "sleep 100 & echo >&9; wait");
    const Member b = f.start(12, "sleep 100 & echo >&9; wait");
    f.tree->kill(a);
    CHECK(f.gone(a, true));
    CHECK(f.tree->members(b).size() == 2);
    CHECK_FALSE(has(f.tree->members(b), a.main_pid));
  });
}

TEST_CASE("a released wait never calls back") {
  both_ways([](bool groups) {
    Fixture f(groups);
    const Member m = f.start(13, "sleep 100 & echo >&9; wait");
    bool called = false;
    f.tree->await_empty(m, false, [&] { called = true; });
    f.tree->kill(m);
    f.tree->release(m.id, m.spawn);
    loop::Timer limit(f.loop, [&] { f.loop.stop(); });
    limit.start({100});
    f.loop.run();
    CHECK_FALSE(called);
  });
}

TEST_CASE("a successor with the same home and keeper finds the groups of living apps") {
  if (!cgroups_here()) {
    MESSAGE("skipped: no writable cgroup v2");
    return;
  }
  Fixture f(true);
  const Member m = f.start(14, "setsid sleep 100 & echo >&9; wait");
  Quiet log;
  ProcessTree successor(f.loop, log, "/home/test-" + std::to_string(::getpid()), mark(), me());
  CHECK(successor.members({m.id, m.spawn, 0}) == f.tree->members({m.id, m.spawn, 0}));
  CHECK(successor.members(m).size() == 2);
}

TEST_CASE("a process outside its group is still found") {
  if (!cgroups_here()) {
    MESSAGE("skipped: no writable cgroup v2");
    return;
  }
  Fixture f(true);
  setenv("TEND_NO_CGROUP", "1", 1);
  Fixture plain(false);
  unsetenv("TEND_NO_CGROUP");
  const Member m = plain.start(15, "sleep 100 & echo >&9; wait");
  const UniqueFd unused_group = f.tree->make_group(m.id, m.spawn);
  f.used.emplace_back(m.id, m.spawn);
  CHECK(f.tree->members(m).size() == 2);
  f.tree->kill(m);
  CHECK(f.gone(m, true));
  CHECK(plain.tree->members(m).empty());
}

}  // namespace
}  // namespace tend::tree
