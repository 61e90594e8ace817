// When a cron pattern is due next. Pure: the caller gives the wall time and the zone's rules.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string_view>

#include "core/base/result.h"

namespace tend::lifecycle {

// 5 fields (minute hour day-of-month month day-of-week) or 6 (seconds first); lists, ranges, steps, names of
// months and days, ? as *, 7 as Sunday. When both day fields are restricted either one matches, as in cron(8).
struct CronPattern {
  std::bitset<60> seconds, minutes;
  std::bitset<24> hours;
  std::bitset<32> days;     // 1..31
  std::bitset<13> months;   // 1..12
  std::bitset<7> weekdays;  // 0 = Sunday
  bool any_day = true, any_weekday = true;
};

// Error: one line that names the field, what was found and what is accepted.
Result<CronPattern> parse_cron(std::string_view text);

// The first matching second strictly after `after` (epoch seconds) in local time; nullopt if none within 8 years.
// A time that DST skips runs at the first instant after the gap; one that DST repeats runs once.
std::optional<int64_t> next_due(const CronPattern& pattern, int64_t after);

}  // namespace tend::lifecycle
