#include "core/lifecycle/cron.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <string>

namespace tend::lifecycle {
namespace {

class LocalZone {  // of the process, for the length of a test
 public:
  explicit LocalZone(const char* name) {
    if (const char* tz = std::getenv("TZ")) former_ = tz;
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  LocalZone(const LocalZone&) = delete;
  LocalZone& operator=(const LocalZone&) = delete;
  ~LocalZone() {
    former_.empty() ? ::unsetenv("TZ") : ::setenv("TZ", former_.c_str(), 1);
    ::tzset();
  }

 private:
  std::string former_;
};

int64_t utc(const char* text) {
  std::tm t{};
  REQUIRE(::strptime(text, "%Y-%m-%d %H:%M:%S", &t));
  return ::timegm(&t);
}

// The next due time of `pattern` after `from`, both in UTC; "never".
std::string due(const char* pattern, const char* from) {
  const auto p = parse_cron(pattern);
  REQUIRE_MESSAGE(p.has_value(), (p ? "" : p.error().message));
  const auto at = next_due(*p, utc(from));
  if (!at) return "never";
  const auto t = static_cast<std::time_t>(*at);
  std::tm parts{};
  gmtime_r(&t, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

std::string error(const char* pattern) {
  const auto p = parse_cron(pattern);
  return p ? "accepted" : p.error().message;
}

TEST_CASE("a pattern is due at the first match strictly after") {
  const LocalZone zone("UTC");
  CHECK(due("* * * * *", "2024-01-01 00:00:00") == "2024-01-01 00:01:00");
  CHECK(due("* * * * *", "2024-01-01 00:00:59") == "2024-01-01 00:01:00");
  CHECK(due("* * * * * *", "2024-12-31 23:59:59") == "2025-01-01 00:00:00");
  CHECK(due("*/10 * * * * ?", "2024-01-01 00:00:11") == "2024-01-01 00:00:20");
  CHECK(due("5/20 * * * *", "2024-01-01 00:26:00") == "2024-01-01 00:45:00");
  CHECK(due("30 4 * * *", "2024-02-28 04:30:00") == "2024-02-29 04:30:00");
  CHECK(due("0 0 1 jan *", "2024-01-01 00:00:00") == "2025-01-01 00:00:00");
  CHECK(due("15,45 9-17/4 * * MON-fri", "2024-01-05 17:45:00") == "2024-01-08 09:15:00");
  CHECK(due("59 59 23 31 12 *", "2024-06-01 00:00:00") == "2024-12-31 23:59:59");
  CHECK(due("0 12 * * 7", "2024-01-01 00:00:00") == "2024-01-07 12:00:00");
  CHECK(due("0 12 * * fri-sun", "2024-01-06 12:00:00") == "2024-01-07 12:00:00");
  CHECK(due("0 0 * 2 *", "2023-12-31 23:59:59") == "2024-02-01 00:00:00");
}

TEST_CASE("two restricted day fields match either, a star restricts nothing") {
  const LocalZone zone("UTC");
  CHECK(due("0 0 13 * fri", "2024-01-01 00:00:00") == "2024-01-05 00:00:00");
  CHECK(due("0 0 13 * fri", "2024-01-12 00:00:00") == "2024-01-13 00:00:00");
  CHECK(due("0 0 13 * *", "2024-01-01 00:00:00") == "2024-01-13 00:00:00");
  CHECK(due("0 0 * * fri", "2024-01-05 00:00:00") == "2024-01-12 00:00:00");
}

TEST_CASE("29 February is found eight years ahead, an impossible date never") {
  const LocalZone zone("UTC");
  CHECK(due("0 0 29 2 *", "2096-02-29 00:00:00") == "2104-02-29 00:00:00");
  CHECK(due("0 0 29 feb *", "2024-03-01 00:00:00") == "2028-02-29 00:00:00");
  CHECK(due("0 0 31 4 *", "2024-01-01 00:00:00") == "never");
  const auto p = parse_cron("* * * 30 2 *");
  REQUIRE(p.has_value());
  const auto begin = std::chrono::steady_clock::now();
  CHECK(!next_due(*p, 1700000000));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(50));
}

TEST_CASE("28: a time that DST skips runs at the first instant after the gap, once") {
  const LocalZone berlin("Europe/Berlin");  // 2024-03-31 02:00 CET -> 03:00 CEST, 01:00 UTC
  CHECK(due("30 2 * * *", "2024-03-30 12:00:00") == "2024-03-31 01:00:00");
  CHECK(due("30 2 * * *", "2024-03-31 01:00:00") == "2024-04-01 00:30:00");
  CHECK(due("*/15 * * * *", "2024-03-31 00:45:00") == "2024-03-31 01:00:00");
  CHECK(due("*/15 * * * *", "2024-03-31 01:00:00") == "2024-03-31 01:15:00");
  CHECK(due("0 3 * * *", "2024-03-30 12:00:00") == "2024-03-31 01:00:00");
  const LocalZone york("America/New_York");  // 2024-03-10 02:00 EST -> 03:00 EDT, 07:00 UTC
  CHECK(due("0 2 * * *", "2024-03-09 12:00:00") == "2024-03-10 07:00:00");
  CHECK(due("0 2 * * *", "2024-03-10 07:00:00") == "2024-03-11 06:00:00");
}

TEST_CASE("28: a time that DST repeats runs once, the first time") {
  const LocalZone berlin("Europe/Berlin");  // 2024-10-27 03:00 CEST -> 02:00 CET, 01:00 UTC
  CHECK(due("30 2 * * *", "2024-10-26 12:00:00") == "2024-10-27 00:30:00");
  CHECK(due("30 2 * * *", "2024-10-27 00:30:00") == "2024-10-28 01:30:00");
  CHECK(due("30 2 * * *", "2024-10-27 01:10:00") == "2024-10-28 01:30:00");
  const LocalZone york("America/New_York");  // 2024-11-03 02:00 EDT -> 01:00 EST, 06:00 UTC
  CHECK(due("30 1 * * *", "2024-11-02 12:00:00") == "2024-11-03 05:30:00");
  CHECK(due("30 1 * * *", "2024-11-03 05:30:00") == "2024-11-04 06:30:00");
}

TEST_CASE("a pattern of every hour runs on through a repeated hour, as through any other") {
  const LocalZone berlin("Europe/Berlin");  // 2024-10-27 03:00 CEST -> 02:00 CET, 01:00 UTC
  CHECK(due("*/20 * * * *", "2024-10-27 00:40:00") == "2024-10-27 01:00:00");
  CHECK(due("*/20 * * * *", "2024-10-27 01:40:00") == "2024-10-27 02:00:00");
  CHECK(due("30 * * * *", "2024-10-27 00:30:00") == "2024-10-27 01:30:00");
  CHECK(due("* * * * * *", "2024-10-27 00:59:59") == "2024-10-27 01:00:00");
  const LocalZone howe("Australia/Lord_Howe");  // 2024-04-07 02:00 +11 -> 01:30 +10:30, 2024-04-06 15:00 UTC
  CHECK(due("45 * * * *", "2024-04-06 14:45:00") == "2024-04-06 15:15:00");
  CHECK(due("0 * 1 7 *", "2024-01-01 00:00:00") == "2024-06-30 13:30:00");
}

TEST_CASE("words stand for patterns, and a zone may stand before them") {
  const LocalZone utc("UTC");
  CHECK(due("@daily", "2024-01-01 05:00:00") == "2024-01-02 00:00:00");
  CHECK(due("@hourly", "2024-01-01 05:00:00") == "2024-01-01 06:00:00");
  CHECK(due("@weekly", "2024-01-01 05:00:00") == "2024-01-07 00:00:00");
  CHECK(due("@monthly", "2024-01-01 05:00:00") == "2024-02-01 00:00:00");
  CHECK(due("@yearly", "2024-01-01 05:00:00") == "2025-01-01 00:00:00");
  CHECK(parse_cron("CRON_TZ=Europe/Berlin 0 4 * * *")->zone == "Europe/Berlin");
  CHECK(parse_cron("TZ=UTC @daily")->zone == "UTC");
  CHECK(parse_cron("0 4 * * *")->zone.empty());
  for (const char* wrong :
       {"TZ= * * * * *", "TZ=../x * * * * *", "TZ=/etc/passwd * * * * *", "@reboot", "TZ=UTC"})
    CHECK_MESSAGE(error(wrong) != "accepted", wrong);
}

TEST_CASE("local midnight follows the season") {
  const LocalZone berlin("Europe/Berlin");
  CHECK(due("0 0 * * *", "2024-07-01 12:00:00") == "2024-07-01 22:00:00");
  CHECK(due("0 0 * * *", "2024-01-01 12:00:00") == "2024-01-01 23:00:00");
}

TEST_CASE("an error names the field, what was found and what is accepted") {
  CHECK(error("99 * * * *") == "cron field \"minute\": found \"99\"; accepted 0-59");
  CHECK(error("* 24 * * *") == "cron field \"hour\": found \"24\"; accepted 0-23");
  CHECK(error("* * 0 * *") == "cron field \"day of month\": found \"0\"; accepted 1-31");
  CHECK(error("* * * foo *") == "cron field \"month\": found \"foo\"; accepted 1-12 or jan-dec");
  CHECK(error("* * * * 8") ==
        "cron field \"day of week\": found \"8\"; accepted 0-7 (0 and 7 are Sunday) or sun-sat");
  CHECK(error("60 * * * * *") == "cron field \"second\": found \"60\"; accepted 0-59");
  CHECK(error("5-2 * * * *") == "cron field \"minute\": found \"5-2\"; accepted 0-59");
  CHECK(error("*/0 * * * *") == "cron field \"minute\": found \"*/0\"; accepted a step of 1-59");
  for (const char* wrong :
       {"", "* * * *", "* * * * * * *", "1, * * * *", "- * * * *", "1--2 * * * *", "*/ * * * *",
        "1.5 * * * *", "-1 * * * *", "99999999999 * * * *", "@dayly", "* * * jann *"})
    CHECK_MESSAGE(error(wrong) != "accepted", wrong);
}

}  // namespace
}  // namespace tend::lifecycle
