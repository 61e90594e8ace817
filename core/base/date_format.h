// day.js date tokens (compat.md 8.1): YYYY YY MMMM MMM MM M DD D dddd ddd dd d HH H hh h mm m ss s SSS A a Z
// ZZ x X and [literal]; anything else is itself. Local time. Pure, but for the zone of the process.
#pragma once

#include <string>
#include <string_view>

#include "core/base/units.h"

namespace tend {

std::string format_date(Millis wall, std::string_view format);
std::string iso_utc(Millis wall);  // 2024-01-02T03:04:05.678Z

}  // namespace tend
