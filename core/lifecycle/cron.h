// When a cron pattern is due next. Pure: the caller gives the wall time, and the zone unless it is the process's
// local one.
#pragma once

#include <cstdint>
#include <optional>

#include "core/lifecycle/zone.h"
#include "core/model/cron_pattern.h"

namespace tend::lifecycle {

// The first matching second strictly after `after` (epoch seconds) on the clocks of `zone` (null: local);
// nullopt if none within 8 years. A pattern of every hour runs as time passes, so in an hour that DST repeats it
// runs on; one of certain hours follows the clock: a time that DST skips runs at the first instant after the
// gap, one that DST repeats runs once.
std::optional<int64_t> next_due(const CronPattern& pattern, int64_t after, const Zone* zone = nullptr);

}  // namespace tend::lifecycle
