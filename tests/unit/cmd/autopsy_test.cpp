#include "cmd/render/autopsy.h"

#include <doctest/doctest.h>

using namespace tend;
using render::autopsy_lines;
using Lines = std::vector<std::string>;

namespace {

Value frame(const char* function, const char* file, int line, int column) {
  return Map{{"function", function}, {"file", file}, {"line", line}, {"column", column}};
}

}  // namespace

TEST_CASE("frames say where the loop is blocked and who called") {
  const Value a =
      Map{{"pid", 7},
          {"mode", "inspector"},
          {"state", "R (running)"},
          {"cpu_ms", 2.9},
          {"sample_ms", 3.1},
          {"threads", 7},
          {"thread_states", Map{{"R", 1}, {"S", 6}}},
          {"rss", int64_t{47} << 20},
          {"frames", List{frame("spin", "/srv/app.js", 12, 5), frame("", "node:internal/timers", 581, 17),
                          frame("native", "", 0, 0)}}};
  CHECK(autopsy_lines(a) == Lines{"blocked in spin (/srv/app.js:12:5)",
                                  "  called from (anonymous) (node:internal/timers:581:17)",
                                  "  called from native",
                                  "  state R (running), CPU 3ms of 3ms, 7 threads (1 R, 6 S), 47M resident"});
}

TEST_CASE("the first line names the app's own function, not the piece of Node that it was met in") {
  const Value a = Map{
      {"frames", List{frame("binding", "node:internal/fs/utils", 5, 1), frame("statSync", "node:fs", 9, 2),
                      frame("calls", "/srv/app.js", 3, 4), frame("run", "node:timers", 8, 1)}}};
  CHECK(autopsy_lines(a) ==
        Lines{"blocked in calls (/srv/app.js:3:4)", "  which calls statSync (node:fs:9:2)",
              "  which calls binding (node:internal/fs/utils:5:1)", "  called from run (node:timers:8:1)"});
  CHECK(autopsy_lines(Map{{"frames", List{frame("f", "node:a", 1, 1)}}}).at(0) ==
        "blocked in f (node:a:1:1)");
}

TEST_CASE("without frames the kernel's side is a sentence, and the reason is told") {
  const Value a = Map{{"state", "S (sleeping)"},
                      {"syscall", "read"},
                      {"wchan", "pipe_read"},
                      {"native_stack", List{"read", "main"}},
                      {"kernel_stack", List{"pipe_read", "vfs_read"}},
                      {"note", "no JavaScript stack: …"}};
  CHECK(autopsy_lines(a) == Lines{"blocked in read (kernel: pipe_read)", "  native stack: read < main",
                                  "  kernel stack: pipe_read < vfs_read", "  state S (sleeping)",
                                  "  no JavaScript stack: …"});
}

TEST_CASE("each state has its own sentence") {
  const auto first = [](Map a) { return autopsy_lines(a).at(0); };
  CHECK(first({{"state", "T (stopped)"}, {"syscall", "read"}}) == "stopped by a signal");
  CHECK(first({{"state", "t (tracing stop)"}, {"tracer", 9}}) == "held by a debugger, process 9");
  CHECK(first({{"state", "R (running)"}, {"syscall", "running"}}) == "running, outside of system calls");
  CHECK(first({{"state", "R (running)"}}) == "running");
  CHECK(first({{"state", "R (running)"}, {"syscall", "write"}}) == "running, in write");
  CHECK(first({{"state", "D (disk sleep)"}, {"syscall", "fsync"}}) == "blocked in fsync, uninterruptible");
  CHECK(first({{"state", "S (sleeping)"}}) == "blocked, state S (sleeping)");
  CHECK(first({{"pid", 1}, {"note", "gone"}}) == "nothing is known of what it did");
}

TEST_CASE("names never reach the terminal raw, and no autopsy is no line") {
  const Value a = Map{{"frames", List{frame("\x1b[31m", "/a\n", 1, 1)}}};
  for (const std::string& line : autopsy_lines(a)) CHECK(line.find_first_of("\x1b\n") == std::string::npos);
  CHECK(autopsy_lines({}).empty());
  CHECK(autopsy_lines("x").empty());
}
