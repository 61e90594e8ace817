#include "cmd/render/why.h"

#include <doctest/doctest.h>

#include <string>

using namespace tend;
using render::Page;

namespace {

Map ended(int64_t at) { return Map{{"at", at}, {"cause", "user"}, {"text", "by"}, {"then", "stopped"}}; }

std::string told(Map end, std::size_t last = 5) {
  return render::why(Map{{"id", 3}, {"name", "api"}, {"ends", List{std::move(end)}}}, last, Page{});
}

bool has(const std::string& text, std::string_view word) { return text.find(word) != std::string::npos; }

}  // namespace

TEST_CASE("an end tells its process, how it ended, what followed and why") {
  Map end = ended(1000);
  for (auto& [key, value] : Map{{"pid", 4711}, {"uptime", 123'000}, {"code", 7}}) end.append(key, value);
  const std::string text = told(end);
  CHECK(has(text, "api, id 3"));
  CHECK(has(text, "1 of 1 known ends"));
  CHECK(has(text, "process 4711 lived 2m"));
  CHECK(has(text, "exit code 7: stopped\n  by\n"));
}

TEST_CASE("a signal is told with its core, and not as a code") {
  Map end = ended(1000);
  for (auto& [key, value] : Map{{"pid", 9}, {"signal", "SIGSEGV"}, {"core", true}}) end.append(key, value);
  const std::string text = told(end);
  CHECK(has(text, "signal SIGSEGV, core dumped: stopped"));
  CHECK(!has(text, "exit code"));
}

TEST_CASE("what was never executed has no process, and a cause without words is named") {
  const std::string text =
      told(Map{{"at", 1}, {"cause", "spawn_failed"}, {"text", ""}, {"then", "given up"}});
  CHECK(has(text, "no process: given up\n  spawn_failed\n"));
}

TEST_CASE("the last ends are told, newest last") {
  List ends;
  for (const char* text : {"one", "two", "three"}) {
    Map end = ended(1);
    end.set("text", text);
    ends.emplace_back(std::move(end));
  }
  const std::string text = render::why(Map{{"id", 0}, {"name", "a"}, {"ends", ends}}, 2, Page{});
  CHECK(has(text, "2 of 3 known ends"));
  CHECK(!has(text, "one"));
  CHECK(text.find("two") < text.find("three"));
}

TEST_CASE("a log line, a name and a cause cannot steer the terminal") {
  Map end = ended(1);
  end.set("text", "red \x1b[31m");
  end.append("lines", List{"clear \x1b[2J"});
  const std::string text =
      render::why(Map{{"id", 0}, {"name", "a\x1b[1m"}, {"ends", List{std::move(end)}}}, 5, Page{});
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(has(text, "last lines:\n    clear "));
}

TEST_CASE("an autopsy is told with its end") {
  Map end = ended(1);
  const Map frame{{"function", "spin"}, {"file", "/srv/app.js"}, {"line", 12}, {"column", 5}};
  end.append("autopsy", Map{{"frames", List{frame}}});
  CHECK(has(told(end), "  blocked in spin (/srv/app.js:12:5)\n"));
}

TEST_CASE("no verdicts are no heading; of many the last are told") {
  CHECK(render::verdicts(Map{{"health", List{}}}, 10, Page{}).empty());
  List health;
  for (const char* word : {"healthy", "late", "hung"})
    health.emplace_back(Map{{"at", 1}, {"event", word}, {"text", "x"}});
  const std::string text = render::verdicts(Map{{"health", health}}, 2, Page{});
  CHECK(!has(text, "healthy"));
  CHECK(text.find("late  x") < text.find("hung  x"));
}
