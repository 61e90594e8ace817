#include <doctest/doctest.h>

#include "cmd/tend/deploy_plan.h"

namespace tend::cli {
namespace {

Map section() {
  return Map{{"host", "h1"},
             {"user", "deploy"},
             {"ref", "origin/main"},
             {"repo", "git@x:y.git"},
             {"path", "/srv/my app"}};
}

std::vector<DeployStep> steps(Map s, const DeployTask& task) {
  const auto targets = deploy_targets(Value(std::move(s)), "prod", "default hook");
  REQUIRE(targets);
  const auto got =
      deploy_steps((*targets)[0], task, [](const std::string& path) { return path == "hook.sh"; });
  REQUIRE(got);
  return *got;
}

TEST_CASE("a shell word is one word whatever is in it, and a leading ~/ stays the remote home") {
  CHECK(shell_word("a b") == "'a b'");
  CHECK(shell_word("it's; $(rm) `x`") == "'it'\\''s; $(rm) `x`'");
  CHECK(shell_word("~/apps/x y") == "\"$HOME\"'/apps/x y'");
  CHECK(shell_word("") == "''");
}

TEST_CASE("ssh gets its options, the port, the key, and the host behind --") {
  Map s = section();
  s.set("port", 2222);
  s.set("key", "/k");
  s.set("ssh_options", List{"StrictHostKeyChecking=no", "BatchMode=yes"});
  s.set("forward-agent", true);
  const auto step = steps(s, {"current", ""})[0];
  const std::vector<std::string> front(step.argv.begin(), step.argv.end() - 1);
  CHECK(front == std::vector<std::string>{"ssh", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes",
                                          "-p", "2222", "-i", "/k", "-A", "--", "deploy@h1"});
  CHECK(step.argv.back().find("'/srv/my app'/.deploys") != std::string::npos);
}

TEST_CASE("several hosts are several targets, and each may differ from the section") {
  Map s = section();
  s.set("host", List{"h1", Map{{"host", "h2"}, {"user", "other"}}});
  const auto targets = deploy_targets(Value(s), "prod", "");
  REQUIRE(targets);
  REQUIRE(targets->size() == 2);
  CHECK((*targets)[0].user == "deploy");
  CHECK((*targets)[1].user == "other");
  CHECK((*targets)[1].path == "/srv/my app");
}

TEST_CASE("a hook that is a local file is piped to bash, any other is a remote command") {
  Map s = section();
  s.set("pre-setup", "hook.sh");
  CHECK(steps(s, {"setup", ""})[0].input_file == "hook.sh");
  s.set("pre-setup", "echo hook.sh");
  const auto remote = steps(s, {"setup", ""})[0];
  CHECK(remote.input_file.empty());
  CHECK(remote.argv.back().find("echo hook.sh") != std::string::npos);
}

TEST_CASE("without a post-deploy hook the given one is run, with the section's variables quoted") {
  Map s = section();
  s.set("env", Map{{"N", 4}, {"T", "a'b"}});
  bool found = false;
  for (const auto& step : steps(s, {"deploy", ""})) {
    if (step.argv.empty() || step.argv.back().find("default hook") == std::string::npos) continue;
    found = true;
    CHECK(step.argv.back().find("export N='4'; export T='a'\\''b';") != std::string::npos);
  }
  CHECK(found);
}

TEST_CASE("what would reach ssh or git as an option is refused") {
  for (const char* key : {"host", "user", "port", "key", "path", "repo", "ref"}) {
    Map s = section();
    s.set(key, "-x");
    CAPTURE(key);
    CHECK_FALSE(deploy_targets(Value(s), "prod", ""));
  }
}

}  // namespace
}  // namespace tend::cli
