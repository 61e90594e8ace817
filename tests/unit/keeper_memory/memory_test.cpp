// The n-th allocation of a keeper fails, for every n: it refuses that request and goes on.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <new>
#include <set>

#include "core/keeper/main.h"
#include "tests/unit/keeper/harness.h"

namespace {

// Of this process: set in the forked keeper only.
long g_countdown = 0;  // 0: nothing fails
bool g_all = false;    // what follows the n-th fails too
long* g_failures = nullptr;

bool fails() {
  if (g_countdown == 0) return false;
  if (g_countdown > 1) {
    --g_countdown;
    return false;
  }
  if (!g_all) g_countdown = 0;
  ++*g_failures;
  return true;
}

}  // namespace

void* operator new(std::size_t size) {
  void* const memory = fails() ? nullptr : std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace tend::keeper::test {
namespace {

long g_n = 0;

// How often an allocation failed in the children that were forked from here.
struct Failures {
  Failures() {
    g_failures = static_cast<long*>(
        mmap(nullptr, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    REQUIRE(g_failures != MAP_FAILED);
  }
  ~Failures() { munmap(g_failures, sizeof(long)); }
  long count() const { return *g_failures; }
  void forget() const { *g_failures = 0; }
};

void arm() { g_countdown = g_n; }

const std::string kNames[] = {"a-name-that-needs-memory-of-its-own/1",
                              "a-name-that-needs-memory-of-its-own/2",
                              "a-name-that-needs-memory-of-its-own/3"};

// The next report that is no refusal for want of memory; what was refused is asked for again.
Report answer(Peer& peer, const SpawnRequest& request, const UniqueFd& held) {
  for (;;) {
    Report r = peer.next();
    if (r.kind != Kind::refused) return r;
    CHECK(r.a == ENOMEM);
    if (r.c == static_cast<int64_t>(Kind::spawn)) {
      CHECK(r.id == request.id);
      peer.spawn(request);
    } else {
      REQUIRE(r.c == static_cast<int64_t>(Kind::hold));
      for (const std::string& name : kNames) peer.hold(name, held.get());
    }
  }
}

void whole_scenario(TestKeeper& keeper) {
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  Peer first = Peer::synced(keeper);
  for (const std::string& name : kNames) first.hold(name, null.get());
  const SpawnRequest lives = program(1, {"/bin/sleep", "1000"});
  const SpawnRequest ends = shell(2, "exit 3");
  first.spawn(lives);
  CHECK(answer(first, lives, null).kind == Kind::spawned);
  for (uint32_t spawn = 1; spawn <= 3; ++spawn) {
    SpawnRequest again = ends;
    again.spawn = spawn;
    first.spawn(again);
    CHECK(answer(first, again, null).kind == Kind::spawned);
    const Report exited = answer(first, again, null);
    CHECK(exited.kind == Kind::exited);
    CHECK(WEXITSTATUS(exited.b) == 3);
    if (spawn < 3) first.send(Kind::ack, 2, spawn);
  }
  first.close();

  Peer second = Peer::greeted(keeper, 1);
  std::string told;
  std::set<std::string> held;  // one that was refused comes later than the others
  for (Kind kind{}; kind != Kind::synced;) {
    const Report r = second.next();
    kind = r.kind;
    if (kind == Kind::spawned) told += "lives " + std::to_string(r.id) + ", ";
    if (kind == Kind::exited) told += "ended " + std::to_string(r.id) + "." + std::to_string(r.spawn) + ", ";
    if (kind == Kind::held) held.insert(r.name);
    REQUIRE(kind != Kind{});
  }
  CHECK(told == "lives 1, ended 2.3, ");
  CHECK(held == std::set<std::string>(std::begin(kNames), std::end(kNames)));
  second.send(Kind::signal, 1, 1, SIGTERM);
  const Report killed = second.next();
  CHECK(killed.kind == Kind::exited);
  CHECK(WTERMSIG(killed.b) == SIGTERM);
  second.send(Kind::shutdown);
  second.close();
  CHECK(keeper.wait() == 0);
}

TEST_CASE("08: whichever allocation fails, the request is refused, and nothing is lost or ended") {
  const Failures failures;
  long met = 0;
  for (g_n = 1;; ++g_n) {
    CAPTURE(g_n);
    failures.forget();
    Setup setup;
    setup.lives = 2;
    setup.prepare = arm;
    TestKeeper keeper(setup);
    whole_scenario(keeper);
    if (failures.count() == 0) break;
    ++met;
  }
  CHECK(met >= 5);
}

TEST_CASE("08: without any memory from some moment on, what lives is still told of and signalled") {
  const Failures failures;
  int lived = 0;
  for (g_n = 1; g_n <= 8; ++g_n) {
    CAPTURE(g_n);
    Setup setup;
    setup.lives = 2;
    setup.prepare = [] {
      arm();
      g_all = true;
    };
    TestKeeper keeper(setup);
    Peer first = Peer::synced(keeper);
    first.spawn(program(1, {"/bin/sleep", "1000"}));
    const Report spawned = first.next();
    for (uint32_t id = 2; id < 10; ++id) first.spawn(program(id, {"/bin/sleep", "1000"}));
    const bool lives = spawned.kind == Kind::spawned;
    CHECK((lives || (spawned.kind == Kind::refused && spawned.a == ENOMEM)));
    first.close();
    Peer second = Peer::greeted(keeper, 1);
    bool told = false;
    for (Kind kind{}; kind != Kind::synced;) {
      const Report r = second.next();
      kind = r.kind;
      told = told || (kind == Kind::spawned && r.id == 1);
      REQUIRE(kind != Kind{});
    }
    CHECK(told == lives);
    if (!lives) continue;
    second.send(Kind::signal, 1, 1, SIGKILL);
    for (Report r = second.next(); r.id != 1 || r.kind != Kind::exited; r = second.next())
      REQUIRE(r.kind != Kind{});
    ++lived;
  }
  CHECK(lived > 0);
  CHECK(failures.count() > 0);
}

// A shell for a supervisor; what it says shows that it was started.
constexpr char kScript[] = "#!/bin/sh\necho $$ > \"$1/lives\"\nexec sleep 1000\n";

TEST_CASE("08: a keeper that has no memory to begin ends with a word, or begins") {
  const Failures failures;
  const TempDir temp;
  const std::string script = temp.path + "/supervisor", home = temp.path + "/home";
  std::ofstream(script) << kScript;
  REQUIRE(chmod(script.c_str(), 0755) == 0);
  REQUIRE(mkdir(home.c_str(), 0700) == 0);
  REQUIRE(mkfifo((home + "/lives").c_str(), 0600) == 0);
  const UniqueFd lives(open((home + "/lives").c_str(), O_RDWR | O_CLOEXEC));
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  int refused = 0, began = 0;
  for (long n = 1;; ++n) {
    CAPTURE(n);
    failures.forget();
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd ours(ends[0]);
    const pid_t keeper = fork();
    if (keeper == 0) {
      Options options;
      options.home.dir = home;
      options.ready_fd = ends[1];
      options.self = script.c_str();
      const UniqueFd null(open("/dev/null", O_RDWR));
      dup2(null.get(), STDERR_FILENO);
      g_countdown = n;
      _exit(run(options));
    }
    ::close(ends[1]);
    if (read_all(ours.get()).empty()) {
      int status = 0;
      REQUIRE(waitpid(keeper, &status, 0) == keeper);
      CHECK(WIFEXITED(status));
      CHECK(WEXITSTATUS(status) == 1);
      ++refused;
      continue;
    }
    std::string line;
    for (char c = 0; read(lives.get(), &c, 1) == 1 && c != '\n';) line += c;
    kill(keeper, SIGKILL);
    kill(std::atoi(line.c_str()), SIGKILL);
    while (waitpid(-1, nullptr, 0) > 0) {
    }
    ++began;
    if (failures.count() == 0) break;
  }
  CHECK(refused > 0);
  CHECK(began > 1);  // the last ones only delayed its supervisor
}

}  // namespace
}  // namespace tend::keeper::test
