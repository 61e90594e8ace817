#include <doctest/doctest.h>

#include "cmd/render/apps_table.h"
#include "cmd/render/colour.h"
#include "cmd/render/describe.h"
#include "cmd/render/humane.h"
#include "cmd/render/mask.h"
#include "cmd/render/table.h"
#include "cmd/render/width.h"
#include "core/base/text.h"

using namespace tend;
using namespace tend::render;

namespace {

Value app(int id, std::string name, std::string status = "online") {
  return Map{{"id", id},     {"name", name},       {"namespace", "default"}, {"mode", "fork"},
             {"pid", 4321},  {"uptime", 1000},     {"restarts", 2},          {"status", status},
             {"cpu", 12.34}, {"memory", 20 << 20}, {"user", "root"},         {"watching", false}};
}

std::vector<std::size_t> line_widths(const std::string& text) {
  std::vector<std::size_t> widths;
  for (const auto& line : split(text, '\n'))
    if (!line.empty()) widths.push_back(display_width(line));
  return widths;
}

}  // namespace

TEST_CASE("a wide character takes two cells, a combining mark none, a broken byte one") {
  CHECK(display_width("abc") == 3);
  CHECK(display_width("日本") == 4);
  CHECK(display_width("e\xcc\x81") == 1);
  CHECK(display_width("\xff\xfe") == 2);
  CHECK(display_width("\xe6\x97") == 2);  // cut off in the middle
}

TEST_CASE("what does not fit ends in an ellipsis and is never wider than asked") {
  CHECK(fit("waiting restart", 9) == "waiting …");
  CHECK(fit("日本語", 4) == "日…");
  CHECK(fit("abc", 3) == "abc");
  CHECK(fit("abc", 0).empty());
  for (std::size_t cells = 0; cells < 8; ++cells) CHECK(display_width(pad("日本語 text", cells)) == cells);
}

TEST_CASE("every line of a table is as wide as its rules, with wide names too") {
  for (const bool pm2 : {false, true}) {
    for (const std::size_t width : {40u, 60u, 80u, 120u, 300u}) {
      CAPTURE(width);
      const Page page{width, false, {5000}, pm2};
      const std::string text = draw(apps_table({app(0, "日本語アプリ"), app(12345, "x")}, page), false);
      const auto widths = line_widths(text);
      REQUIRE(widths.size() == 6);
      for (const auto w : widths) CHECK(w == widths[0]);
      if (width >= 60) CHECK(widths[0] <= width);
    }
  }
}

TEST_CASE("an empty table is its header alone") {
  CHECK(line_widths(draw(apps_table({}, {300, false, {}, true}), false)).size() == 3);
}

TEST_CASE("PM2's full layout needs 124 columns and the name, and cuts a long status") {
  const auto has = [](std::size_t width, std::string_view title) {
    const std::string text =
        draw(apps_table({app(0, "abcd", "waiting restart")}, {width, false, {}, true}), false);
    return text.find(title) != std::string::npos;
  };
  CHECK(has(133, "watching"));
  CHECK_FALSE(has(132, "watching"));
  CHECK(has(132, "memory"));
  CHECK_FALSE(has(60, "memory"));
  CHECK(has(133, "waiting …"));
}

TEST_CASE("colours leave name and status unbroken words") {
  const std::string text = draw(apps_table({app(0, "api")}, {300, true, {}, true}), true);
  CHECK(text.find("\x1b[1;32monline\x1b[0m") != std::string::npos);
  CHECK(text.find("\x1b[1mapi\x1b[0m") != std::string::npos);
}

TEST_CASE("a name never reaches the terminal raw") {
  const std::string text = draw(apps_table({app(0, "a\x1b[2Jb\xc2\x9b" "31m")}, {300, false, {}, false}), false);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find("\\x9b31m") != std::string::npos);
}

TEST_CASE("uptimes change their unit where PM2's do") {
  const auto at = [](int64_t s) { return uptime_text({s * 1000}); };
  CHECK(at(0) == "0s");
  CHECK(at(-5) == "0s");
  CHECK(at(119) == "119s");
  CHECK(at(120) == "2m");
  CHECK(at(119 * 60) == "119m");
  CHECK(at(120 * 60) == "2h");
  CHECK(at(47 * 3600) == "47h");
  CHECK(at(48 * 3600) == "2D");
  CHECK(at(86400 * 60) == "2M");
  CHECK(at(86400 * 800) == "2Y");
}

TEST_CASE("only an online app has an uptime") {
  CHECK(uptime_of(app(0, "a"), {6000}) == "5s");
  CHECK(uptime_of(app(0, "a", "stopped"), {6000}) == "0");
}

TEST_CASE("sizes and shares are rounded to a tenth") {
  CHECK(memory_text(0) == "0b");
  CHECK(memory_text(512 * 1024) == "512.0kb");
  CHECK(memory_text(21'076'378) == "20.1mb");
  CHECK(memory_text(int64_t{1288490189}) == "1.2gb");
  CHECK(cpu_text(0) == "0%");
  CHECK(cpu_text(12.34) == "12.3%");
  CHECK(cpu_text(99.96) == "100%");
  CHECK(iso_text({1795458414655}) == "2026-11-23T18:26:54.655Z");
}

TEST_CASE("rows sort by a field, downwards when asked") {
  List rows{app(0, "b"), app(1, "a"), app(2, "c")};
  sort_rows(rows, "name:desc");
  CHECK(rows[0].at("name").text() == "c");
  sort_rows(rows, "id");
  CHECK(rows[0].at("id").integer() == 0);
}

TEST_CASE("secrets are known by their names, and a URL's password is hidden") {
  for (const char* key :
       {"DB_PASSWORD", "API_KEY", "apiKey", "GITHUB_TOKEN", "CLIENT_SECRET", "MYSQL_PWD", "SSH_PRIVATE"}) {
    CAPTURE(key);
    CHECK(masked(key, "x") == "****");
  }
  for (const char* key : {"PWD", "OLDPWD", "KEYBOARD", "PATH", "NODE_ENV"}) {
    CAPTURE(key);
    CHECK(masked(key, "x") == "x");
  }
  CHECK(masked("DATABASE_URL", "postgres://me:pw@db:5432/x") == "postgres://me:****@db:5432/x");
  CHECK(masked("SITE", "http://host:80/a@b") == "http://host:80/a@b");
}

TEST_CASE("describe shows the status in the fourth word of its row and masks the file's secrets") {
  Value row = app(3, "api");
  row.as<Map>()->set("env", Map{{"API_KEY", "hunter2"}, {"PORT", "80"}});
  AppSpec spec;
  spec.script = "/srv/api.js";
  const Page page{300, false, {5000}, false};
  const std::string text = describe(row, spec, page, false);
  CHECK(text.find("│ status") != std::string::npos);
  CHECK(text.find("hunter2") == std::string::npos);
  CHECK(describe(row, spec, page, true).find("hunter2") != std::string::npos);
  for (const auto& line : split(text, '\n')) {
    if (line.find("│ status") == std::string::npos) continue;
    std::vector<std::string> words;
    for (auto& w : split(line, ' '))
      if (!w.empty()) words.push_back(w);
    CHECK(words.at(3) == "online");
  }
}

TEST_CASE("NO_COLOR beats FORCE_COLOR beats a terminal") {
  CHECK(colours_wanted(true, nullptr, nullptr, "xterm"));
  CHECK_FALSE(colours_wanted(false, nullptr, nullptr, "xterm"));
  CHECK(colours_wanted(false, nullptr, "1", "dumb"));
  CHECK_FALSE(colours_wanted(true, nullptr, "0", "xterm"));
  CHECK_FALSE(colours_wanted(true, "1", "1", "xterm"));
  CHECK(colours_wanted(true, "", nullptr, "xterm"));
  CHECK_FALSE(colours_wanted(true, nullptr, nullptr, "dumb"));
}
