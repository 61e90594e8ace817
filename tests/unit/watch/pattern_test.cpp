#include "core/watch/pattern.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>

namespace tend::watch {
namespace {

bool regex(std::string_view pattern, std::string_view text) {
  const auto p = Pattern::regex(pattern);
  REQUIRE_MESSAGE(p.has_value(), (p ? "" : p.error().message));
  return p->matches(text);
}

bool glob(std::string_view pattern, std::string_view text) {
  const auto p = Pattern::glob(pattern);
  REQUIRE_MESSAGE(p.has_value(), (p ? "" : p.error().message));
  return p->matches(text);
}

TEST_CASE("a regular expression matches anywhere, with JavaScript's syntax") {
  CHECK(regex(R"([\/\\]\.|node_modules)", "/.git"));
  CHECK(regex(R"([\/\\]\.|node_modules)", "/x/node_modules/y"));
  CHECK_FALSE(regex(R"([\/\\]\.|node_modules)", "/src/a.js"));
  CHECK(regex(R"(\.(log|tmp)$)", "/a.tmp"));
  CHECK_FALSE(regex(R"(\.(log|tmp)$)", "/a.tmp2"));
  CHECK(regex(R"(^/\d{2,3}-\w+$)", "/123-ab"));
  CHECK_FALSE(regex(R"(^/\d{2,3}-\w+$)", "/1-ab"));
  CHECK_FALSE(regex(R"(^/\d{2,3}$)", "/1234"));
  CHECK(regex(R"(^a{2}$)", "aa"));
  CHECK_FALSE(regex(R"(^a{2}$)", "aaa"));
  CHECK(regex(R"(^a{2,}$)", "aaaa"));
  CHECK(regex(R"(\bsrc\b)", "/src/x"));
  CHECK_FALSE(regex(R"(\bsrc\b)", "/srcs/x"));
  CHECK(regex("(?:ab)+?c", "ababc"));
  CHECK(regex("(?<year>[0-9]+)", "7"));
  CHECK(regex("[^a-c]", "d"));
  CHECK_FALSE(regex("^[^a-c]$", "b"));
  CHECK(regex("", "x"));
  CHECK(regex("a|", "b"));
  CHECK(regex("x{y", "x{y"));
}

TEST_CASE("what no automaton can do, and what is no pattern, is refused with a word") {
  for (const char* wrong :
       {"(?=x)", "(?!x)", "(?<=x)", "(a)\\1", "(", ")", "[a", "*", "a{999}", "a{3,2}", "\\", "[z-a]"})
    CHECK_MESSAGE(!Pattern::regex(wrong), wrong);
  CHECK_FALSE(Pattern::regex(std::string(2000, 'a')));
  CHECK_FALSE(Pattern::regex(std::string(200, '(')));
  CHECK_FALSE(Pattern::regex("((((a{100}){100}){100}){100})"));
  CHECK_FALSE(Pattern::glob("!(a)"));
}

TEST_CASE("37: a pattern that stops a backtracking matcher takes no time") {
  const std::string text(4000, 'a');
  const auto begin = std::chrono::steady_clock::now();
  CHECK_FALSE(regex("^(a+)+$", text + "b"));
  CHECK_FALSE(regex("^(a|aa)+$", text + "b"));
  CHECK_FALSE(regex("(.*)*x(.*)*y", text));
  CHECK_FALSE(glob("*a*a*a*a*a*a*a*b", text));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
}

TEST_CASE("a glob matches whole paths, and a star stays in its folder") {
  CHECK(glob("logs/*", "logs/a.log"));
  CHECK_FALSE(glob("logs/*", "logs/b/a.log"));
  CHECK_FALSE(glob("logs/*", "xlogs/a"));
  CHECK(glob("**/*.log", "a.log"));
  CHECK(glob("**/*.log", "x/y/a.log"));
  CHECK_FALSE(glob("**/*.log", "x/a.logs"));
  CHECK(glob("tmp/**", "tmp"));
  CHECK(glob("tmp/**", "tmp/a/b"));
  CHECK_FALSE(glob("tmp/**", "tmpx"));
  CHECK(glob("a/**/b", "a/b"));
  CHECK(glob("a/**/b", "a/x/y/b"));
  CHECK(glob("*.{js,ts}", "x.ts"));
  CHECK_FALSE(glob("*.{js,ts}", "x.css"));
  CHECK(glob("?.[jt]s", "a.ts"));
  CHECK(glob("[!a].js", "b.js"));
  CHECK_FALSE(glob("[!a].js", "a.js"));
  CHECK(glob("@(a|b).js", "b.js"));
  CHECK(glob("+(ab).js", "abab.js"));
  CHECK_FALSE(glob("a.b", "axb"));
  CHECK(glob(".*", ".git"));
  CHECK_FALSE(glob(".*", "git"));
}

}  // namespace
}  // namespace tend::watch
