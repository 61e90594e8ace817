// The helper as the supervisor uses it: the real program, and scripts in its place that misbehave.
#include "core/health/autopsy.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace tend;
using health::Autopsy;

namespace {

constexpr Millis kAmple{10'000};  // for a machine that is busy with other tests

class Child {
 public:
  explicit Child(std::vector<std::string> words) {
    std::vector<char*> argv;
    for (std::string& w : words) argv.push_back(w.data());
    argv.push_back(nullptr);
    if (::posix_spawnp(&pid_, argv[0], nullptr, nullptr, argv.data(), environ) != 0) pid_ = 0;
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }
  bool alive() const { return ::waitpid(pid_, nullptr, WNOHANG) == 0; }

 private:
  pid_t pid_ = 0;
};

// A program that stands in for the helper.
class Script {
 public:
  explicit Script(const std::string& body) {
    char name[] = "/tmp/tend-autopsy-XXXXXX";
    folder_ = ::mkdtemp(name);
    path_ = folder_ + "/helper";
    std::ofstream(path_) << "#!/bin/sh\n" << body << "\n";
    ::chmod(path_.c_str(), 0700);
  }
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;
  ~Script() {
    ::unlink(path_.c_str());
    ::rmdir(folder_.c_str());
  }
  const std::string& path() const { return path_; }

 private:
  std::string folder_, path_;
};

struct Outcome {
  Value report;
  int calls = 0;
  int64_t ms = 0;
};

Outcome examine(const std::string& program, Autopsy::Request request) {
  loop::Loop loop;
  Outcome outcome;
  const auto began = std::chrono::steady_clock::now();
  std::unique_ptr<Autopsy> autopsy;
  autopsy = std::make_unique<Autopsy>(loop, program, std::move(request), [&](Value report) {
    outcome.report = std::move(report);
    ++outcome.calls;
    autopsy.reset();
  });
  CHECK(outcome.calls == 0);
  loop.run();
  outcome.ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began).count();
  return outcome;
}

bool no_children() { return ::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD; }

}  // namespace

TEST_CASE("a sleeping program is described by the kernel, and lives on") {
  const Child sleeper({"sleep", "600"});
  REQUIRE(sleeper.pid() != 0);
  Outcome o;
  for (int tries = 0; tries < 100; ++tries) {  // until it sleeps
    o = examine(TEND_PROGRAM, {sleeper.pid(), 0, "inspector", kAmple});
    if (o.report.at("syscall").text() == "clock_nanosleep") break;
  }
  CHECK(o.calls == 1);
  CHECK(o.report.at("mode").text() == "kernel");
  CHECK(o.report.at("pid").integer() == sleeper.pid());
  CHECK(o.report.at("state").text().substr(0, 1) == "S");
  CHECK(o.report.at("partial").is_null());
  CHECK(sleeper.alive());
}

TEST_CASE("a Node that loops is named by function and line") {
  const Script app("");
  // An early look would open the inspector in the midst of node's own start, and it opens once: so wait for
  // its word.
  std::ofstream(app.path()) << "process.debugPort = 0;\nfunction spin() {\n  for (;;);\n}\n"
                               "require('fs').rmSync(__filename);\nspin();\n";
  const Child node({"node", app.path()});
  if (node.pid() == 0) {
    MESSAGE("node is not installed");
    return;
  }
  for (int tries = 0; tries < 1000 && ::access(app.path().c_str(), F_OK) == 0; ++tries) ::usleep(10'000);
  Outcome o;
  for (int tries = 0; tries < 100 && o.report.at("frames").is_null(); ++tries)
    o = examine(TEND_PROGRAM, {node.pid(), 0, "inspector", kAmple});
  REQUIRE(o.report.at("frames").list().size() >= 1);
  const Value& top = o.report.at("frames").list()[0];
  CHECK(top.at("function").text() == "spin");
  CHECK(top.at("file").text() == app.path());
  CHECK(top.at("line").integer() == 3);
  CHECK(node.alive());
}

TEST_CASE("another process under the same number is not looked at") {
  const Child sleeper({"sleep", "600"});
  const Outcome o = examine(TEND_PROGRAM, {sleeper.pid(), 1, "kernel", kAmple});
  CHECK(o.report.at("state").is_null());
  CHECK_FALSE(o.report.at("note").text().empty());
}

TEST_CASE("a helper that cannot be started is a note, after the constructor") {
  const Outcome o = examine("/nonexistent/tend", {::getpid(), 0, "kernel", kAmple});
  CHECK(o.calls == 1);
  CHECK(o.report.at("pid").integer() == ::getpid());
  CHECK(o.report.at("note").text() == "no autopsy: /nonexistent/tend: No such file or directory");
}

TEST_CASE("a helper that hangs is killed at the limit, with all that it started, and what it said counts") {
  const Script helper(
      "echo '{\"pid\": 7, \"state\": \"D\", \"partial\": true}'\nsleep 600 &\nexec sleep 600");
  const Outcome o = examine(helper.path(), {::getpid(), 0, "kernel", Millis{400}});
  CHECK(o.calls == 1);
  CHECK(o.ms >= 395);
  CHECK(o.ms < 5000);
  CHECK(o.report.at("state").text() == "D");
  CHECK(no_children());
}

TEST_CASE("a helper that says nothing, half a line, or no object is a note") {
  for (const char* body : {"exit 3", "printf '{\"pid\": 1'", "echo 7; echo '[]'; echo '{'"}) {
    CAPTURE(body);
    const Script helper(body);
    const Outcome o = examine(helper.path(), {::getpid(), 0, "kernel", kAmple});
    CHECK(o.report.at("mode").text() == "kernel");
    CHECK_FALSE(o.report.at("note").text().empty());
  }
}

TEST_CASE("a helper that floods is cut off") {
  const Script helper("exec yes");
  const Outcome o = examine(helper.path(), {::getpid(), 0, "kernel", kAmple});
  CHECK(o.calls == 1);
  CHECK_FALSE(o.report.at("note").text().empty());
  CHECK(no_children());
}

TEST_CASE("destroying it cancels: nobody is called, nothing is left") {
  loop::Loop loop;
  int calls = 0;
  {
    const Script helper("exec sleep 600");
    const Autopsy autopsy(loop, helper.path(), {::getpid(), 0, "kernel", kAmple},
                          [&](const Value&) { ++calls; });
  }
  CHECK(no_children());
  loop.run();
  CHECK(calls == 0);
}

TEST_CASE("the helper gets its arguments, less time than there is, and no descriptor of ours") {
  const UniqueFd leak(::fcntl(0, F_DUPFD, 77));  // inherited unless somebody closes it
  REQUIRE(leak.get() >= 77);
  const Script helper(
      "echo \"{\\\"args\\\": \\\"$*\\\", \\\"fds\\\": \\\"$(ls /proc/$$/fd | tr '\\n' ' ')\\\"}\"");
  const Outcome o = examine(helper.path(), {42, 99, "auto", Millis{5000}});
  CHECK(o.report.at("args").text() == "42 4992 auto 99");
  CHECK(o.report.at("fds").text().substr(0, 4) == "0 1 ");
  CHECK(o.report.at("fds").text().find(std::to_string(leak.get())) == std::string::npos);
}

TEST_CASE("the last whole object is the report") {
  using health::last_report;
  CHECK(last_report("{\"a\":1}\n{\"a\":2}\n{\"a\":3").at("a").integer() == 2);
  CHECK(last_report("{\"a\":1}\n\nnonsense\n").at("a").integer() == 1);
  CHECK(last_report("\n").is_null());
  CHECK(last_report("").is_null());
  CHECK(last_report("{}").is_null());
  CHECK(last_report("[1]\n").is_null());
}
