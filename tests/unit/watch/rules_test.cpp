#include "core/watch/rules.h"

#include <doctest/doctest.h>

#include "core/watch/scope.h"

namespace tend::watch {
namespace {

Rules rules(std::vector<std::string> entries, std::vector<std::string> extensions = {}) {
  std::vector<std::string> complaints;
  const bool given = !entries.empty();
  Rules r = Rules::make({"/srv/.hidden/app",
                         given,
                         std::move(entries),
                         std::move(extensions),
                         {"/srv/.hidden/app/api-out.log", "/srv/.hidden/app/pids/api.pid"},
                         "/home/u/.tend"},
                        complaints);
  CHECK(complaints.empty());
  return r;
}

bool ignored(const Rules& r, const std::string& relative, bool folder = false) {
  return r.ignores("/srv/.hidden/app/" + relative, folder);
}

TEST_CASE("without rules dotfiles and node_modules are left out, below the app's folder only") {
  const Rules r = rules({});
  CHECK(ignored(r, ".git", true));
  CHECK(ignored(r, "src/.env"));
  CHECK(ignored(r, "node_modules", true));
  CHECK_FALSE(ignored(r, "src/a.js"));
}

TEST_CASE("rules that are given take the place of the default") {
  CHECK_FALSE(ignored(rules({"logs"}), ".env"));
  CHECK(ignored(rules({"logs", R"([\/\\]\./)"}), ".env"));
}

TEST_CASE("a name is left out at any depth, a path where it lies") {
  const Rules r = rules({"tmp", "./public/cache/", "/var/data", "../other"});
  CHECK(ignored(r, "tmp", true));
  CHECK(ignored(r, "src/tmp", true));
  CHECK_FALSE(ignored(r, "tmp2", true));
  CHECK(ignored(r, "public/cache", true));
  CHECK(ignored(r, "public/cache/x"));
  CHECK_FALSE(ignored(r, "src/public/cache", true));
  CHECK(r.ignores("/var/data/x", false));
  CHECK(r.ignores("/srv/.hidden/other/x", false));
}

TEST_CASE("globs without a slash look at names, with one at the path from the app's folder") {
  const Rules r = rules({"*.log", "logs/*", "**/gen/*.js"});
  CHECK(ignored(r, "a/b/c.log"));
  CHECK(ignored(r, "logs/x"));
  CHECK_FALSE(ignored(r, "src/logs/x"));
  CHECK(ignored(r, "src/gen/x.js"));
}

TEST_CASE("an entry with ! brings back what another one leaves out") {
  const Rules r = rules({"*.json", "!package.json"});
  CHECK(ignored(r, "a.json"));
  CHECK_FALSE(ignored(r, "package.json"));
}

TEST_CASE("own logs, what rotation makes of them, pid files and the home are always left out") {
  const Rules r = rules({"x"});
  CHECK(ignored(r, "api-out.log"));
  CHECK(ignored(r, "api-out-3.log"));
  CHECK(ignored(r, "api-out__2026-01-01_00-00-00.log"));
  CHECK(ignored(r, "api-out.log.1"));
  CHECK(ignored(r, "api-out.log.2.gz"));
  CHECK(ignored(r, "pids/api-0.pid"));
  CHECK_FALSE(ignored(r, "api-out.js"));
  CHECK_FALSE(ignored(r, "api-outer.log"));
  CHECK(r.ignores("/home/u/.tend/tend.log", false));
}

TEST_CASE("extensions say which files count, and no folder") {
  const Rules r = rules({}, {"js,.json"});
  CHECK_FALSE(ignored(r, "a.js"));
  CHECK_FALSE(ignored(r, "a.json"));
  CHECK(ignored(r, "a.txt"));
  CHECK_FALSE(ignored(r, "src", true));
}

TEST_CASE("an entry that cannot be read is told of, and the others hold") {
  std::vector<std::string> complaints;
  const Rules r = Rules::make({"/a", true, {"(?=x)|y", "tmp"}, {}, {}, ""}, complaints);
  REQUIRE(complaints.size() == 1);
  CHECK(complaints[0].find("(?=x)") != std::string::npos);
  CHECK(r.ignores("/a/tmp", true));
}

TEST_CASE("a root may be a glob: its fixed part is watched, its matches count") {
  Scope scope;
  scope.roots.push_back(*root_of("src/**/*.js", "/app"));
  CHECK(scope.roots[0].path == "/app/src");
  CHECK(scope.takes("/app/src/x/a.js", false));
  CHECK_FALSE(scope.takes("/app/src/x/a.css", false));
  CHECK_FALSE(scope.takes("/app/lib/a.js", false));
  CHECK(root_of("..", "/app/x")->path == "/app");
  CHECK(root_of(".", "/app")->path == "/app");
  CHECK(scope.leads_to_root("/app"));
  CHECK_FALSE(scope.leads_to_root("/app/src/x"));
}

}  // namespace
}  // namespace tend::watch
