// When a cron pattern is due next. Pure: the caller gives the wall time; the zone is the process's local one.
#pragma once

#include <cstdint>
#include <optional>

#include "core/model/cron_pattern.h"

namespace tend::lifecycle {

// The first matching second strictly after `after` (epoch seconds) in local time; nullopt if none within 8 years.
// A time that DST skips runs at the first instant after the gap; one that DST repeats runs once.
std::optional<int64_t> next_due(const CronPattern& pattern, int64_t after);

}  // namespace tend::lifecycle
