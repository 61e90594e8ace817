#include <doctest/doctest.h>

#include <cstdlib>
#include <ctime>
#include <random>
#include <string>

#include "core/base/date_format.h"
#include "core/logs/line_format.h"

namespace tend::logs {
namespace {

struct Zone {
  explicit Zone(const char* name) {
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  ~Zone() {
    ::unsetenv("TZ");
    ::tzset();
  }
};

constexpr Millis kAt{1709646307089};  // Tuesday 2024-03-05 13:45:07.089 UTC

TEST_CASE("each day.js token gives its part of the date") {
  const Zone zone("UTC");
  CHECK(format_date(kAt, "YYYY-MM-DDTHH:mm:ss") == "2024-03-05T13:45:07");
  CHECK(format_date(kAt, "YY M D d H h hh m s SSS") == "24 3 5 2 13 1 01 45 7 089");
  CHECK(format_date(kAt, "MMMM MMM dddd ddd dd") == "March Mar Tuesday Tue Tu");
  CHECK(format_date(kAt, "A a Z ZZ") == "PM pm +00:00 +0000");
  CHECK(format_date(kAt, "[at YYYY] YYYY [open") == "at YYYY 2024 [open");
  CHECK(format_date(kAt, "").empty());
  CHECK(iso_utc(kAt) == "2024-03-05T13:45:07.089Z");
}

TEST_CASE("the offset of the local zone is shown, also when it is negative and not whole hours") {
  const Zone zone("XXX3:30");
  CHECK(format_date(kAt, "HH:mm Z ZZ") == "10:15 -03:30 -0330");
}

std::string escaped(std::string_view s) {
  std::string out;
  append_json(s, out);
  return out;
}

TEST_CASE("JSON text is escaped and invalid UTF-8 replaced") {
  CHECK(escaped("a\"b\\c\n\t\r\x01\x1f") == "a\\\"b\\\\c\\n\\t\\r\\u0001\\u001f");
  CHECK(escaped("h\xc3\xa9 \xf0\x9f\x98\x80") == "h\xc3\xa9 \xf0\x9f\x98\x80");
  CHECK(escaped("\xff|\xc0\x80|\xed\xa0\x80|\xc3") ==
        "\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd");
}

TEST_CASE("a JSON line has the keys of PM2 and keeps its newline") {
  StreamOptions options;
  options.json = true;
  options.app_name = "a";
  LineFormat format(options, Channel::out);
  format.set_time(kAt);
  std::string out;
  bool continued = false;
  CHECK(format.format("tick\n", false, continued, out) == 5);
  CHECK(
      out ==
      "{\"message\":\"tick\\n\",\"timestamp\":\"2024-03-05T13:45:07.089Z\",\"type\":\"out\",\"process_id\":0,"
      "\"app_name\":\"a\"}\n");
}

std::string on_console(Console console, Channel channel, StreamOptions options, const std::string& data) {
  options.app_name = "api";
  options.show(console, channel);
  LineFormat format(options, channel);
  format.set_time(kAt);
  std::string out;
  bool continued = false;
  CHECK(format.format(data, true, continued, out) == data.size());
  return out;
}

TEST_CASE("on a console every form is whole lines that name their app") {
  CHECK(on_console(Console::formatted, Channel::out, {}, "a\nb") == "0|api  | a\n0|api  | b\n");
  CHECK(on_console(Console::json, Channel::err, {}, "a\n").find("{\"message\":\"a\",") == 0);
  const std::string line = on_console(Console::format, Channel::err, {}, "a\n");
  CHECK(line.find("timestamp=2024-03-05-13:45:07") == 0);
  CHECK(line.find(" app=api id=0 type=error message=a\n") != std::string::npos);
  CHECK(on_console(Console::raw, Channel::out, {}, "a\nb") == "a\nb");
}

TEST_CASE("a console takes the place of no file and stands beside one") {
  StreamOptions none;
  none.path = "/dev/null";
  none.show(Console::raw, Channel::err);
  CHECK(none.path == "/dev/stderr");
  CHECK(none.combined.empty());
  CHECK_FALSE(none.lines());
  StreamOptions file;
  file.path = "/logs/a.log";
  file.show(Console::formatted, Channel::err);
  CHECK(file.path == "/dev/stdout");
  CHECK(file.combined == "/logs/a.log");
  CHECK(file.lines());
}

TEST_CASE("lines come out the same however the bytes were cut") {
  StreamOptions options;
  options.date_format = "[T]";
  LineFormat format(options, Channel::out);
  format.set_time(kAt);
  std::mt19937 random(7);
  std::string text, expected;
  for (int i = 0; i < 500; ++i) {
    const std::string line = std::string(random() % 300, static_cast<char>('a' + i % 26)) + "\n";
    text += line;
    expected += "T: " + line;
  }
  for (int round = 0; round < 50; ++round) {
    std::string got, held;
    bool continued = false;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t n = std::min<std::size_t>(1 + random() % 700, text.size() - at);
      held += text.substr(at, n);
      at += n;
      held.erase(0, format.format(held, false, continued, got));
    }
    CHECK(held.empty());
    CHECK(got == expected);
  }
}

TEST_CASE("an endless line is cut at 64 KiB and dated once") {
  StreamOptions options;
  options.date_format = "[T]";
  LineFormat format(options, Channel::out);
  format.set_time(kAt);
  const std::string line(3 * kMaxLine + 10, 'x');
  std::string got, held = line;
  bool continued = false;
  held.erase(0, format.format(held, false, continued, got));
  CHECK(continued);
  CHECK(held.size() <= kMaxLine);
  held += "\nnext\n";
  held.erase(0, format.format(held, false, continued, got));
  CHECK(got == "T: " + line + "\nT: next\n");
  CHECK_FALSE(continued);
}

}  // namespace
}  // namespace tend::logs
