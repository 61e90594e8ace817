#include "core/lifecycle/zone.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string>

#include "core/lifecycle/cron.h"

namespace tend::lifecycle {
namespace {

std::string file_of(const std::string& name) {
  std::ifstream in("/usr/share/zoneinfo/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Zone zone(const std::string& name) {
  auto z = Zone::parse(file_of(name));
  REQUIRE_MESSAGE(z.has_value(), name);
  return *z;
}

TEST_CASE("offsets are those of the C library, past, present and far ahead") {
  const char* former = std::getenv("TZ");
  const std::string kept = former == nullptr ? "" : former;
  for (const char* name : {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo",
                           "Asia/Kolkata", "Africa/Casablanca", "Pacific/Apia", "Europe/Dublin", "UTC"}) {
    const Zone z = zone(name);
    ::setenv("TZ", name, 1);
    ::tzset();
    for (int64_t t = 0; t < 3800000000; t += 86400 * 3 + 1234) {
      const auto at = static_cast<std::time_t>(t);
      std::tm parts{};
      localtime_r(&at, &parts);
      if (parts.tm_gmtoff != z.offset_at(t)) FAIL(name << " at " << t);
    }
  }
  kept.empty() ? ::unsetenv("TZ") : ::setenv("TZ", kept.c_str(), 1);
  ::tzset();
}

TEST_CASE("the rule behind the table is read in each of its forms") {
  CHECK(parse_zone_rule("CET-1CEST,M3.5.0,M10.5.0/3")->summer == 7200);
  CHECK(parse_zone_rule("<+03>-3")->standard == 10800);
  CHECK(parse_zone_rule("EST5EDT,J60/-1:30,300")->begin.seconds == -5400);
  CHECK(parse_zone_rule("LHST-10:30LHDT-11,M10.1.0,M4.1.0")->summer == 39600);
  for (const char* wrong :
       {"", "CE", "CET", "CET-1CEST", "CET-1CEST,M13.1.0,M1.1.0", "CET-1CEST,M3.5.0", "CET-1X,a,b"})
    CHECK_MESSAGE(!parse_zone_rule(wrong), wrong);
}

TEST_CASE("a file that is cut or changed is refused or read, never overrun") {
  const std::string whole = file_of("Europe/Berlin");
  for (std::size_t n = 0; n < whole.size(); n += 7) (void)Zone::parse(std::string_view(whole).substr(0, n));
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string bad = whole;
    bad[i] = static_cast<char>(0xff);
    if (const auto z = Zone::parse(bad)) (void)z->offset_at(1700000000);
  }
  CHECK_FALSE(Zone::parse("TZif"));
  CHECK_FALSE(Zone::parse(""));
}

TEST_CASE("a pattern is due by the clocks of its zone, whatever the process's own is") {
  const Zone tokyo = zone("Asia/Tokyo");
  const auto p = parse_cron("0 9 * * *");
  CHECK(next_due(*p, 1704067200, &tokyo) == 1704067200 + 86400);  // 2024-01-01 00:00 UTC is 09:00 there
  const Zone berlin = zone("Europe/Berlin");
  CHECK(next_due(*parse_cron("30 2 * * *"), 1711803600, &berlin) == 1711846800);  // 2024-03-31 skips 02:30
}

}  // namespace
}  // namespace tend::lifecycle
