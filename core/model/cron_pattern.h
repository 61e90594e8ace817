// A cron pattern as plain data, and its parser. When it is due: core/lifecycle/cron.h.
#pragma once

#include <bitset>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace tend {

// 5 fields (minute hour day-of-month month day-of-week) or 6 (seconds first); lists, ranges, steps, names of
// months and days, ? as *, 7 as Sunday. When both day fields are restricted either one matches, as in cron(8).
struct CronPattern {
  std::bitset<60> seconds, minutes;
  std::bitset<24> hours;
  std::bitset<32> days;     // 1..31
  std::bitset<13> months;   // 1..12
  std::bitset<7> weekdays;  // 0 = Sunday
  bool any_day = true, any_weekday = true;
  std::string zone;  // "Europe/Berlin"; empty: the app's cron_timezone, else local time
};

// The fields, or @hourly @daily @midnight @weekly @monthly @yearly @annually; before them TZ=zone or CRON_TZ=zone.
// Error: one line that names the field, what was found and what is accepted.
Result<CronPattern> parse_cron(std::string_view text);

// Whether `text` may name a file of the time zone database: "UTC", "America/Argentina/Buenos_Aires".
bool is_zone_name(std::string_view text);

}  // namespace tend
