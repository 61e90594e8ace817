// Reading limits that are no plain numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tend {

// "1.5" (cores) or "150%" of one: microseconds of CPU time in each 100 ms. From a hundredth of a core to
// 100,000; none: it is neither.
std::optional<int64_t> parse_cores(std::string_view text);

}  // namespace tend
