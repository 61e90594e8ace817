#include "core/model/limits.h"

#include <charconv>
#include <cmath>

namespace tend {

namespace {
constexpr double kFewest = 0.01, kMost = 100'000;
constexpr double kPeriod = 100'000;  // microseconds, the kernel's own
}  // namespace

std::optional<int64_t> parse_cores(std::string_view text) {
  const bool percent = text.ends_with('%');
  if (percent) text.remove_suffix(1);
  double cores = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, cores, std::chars_format::fixed);
  if (error != std::errc() || at != end) return {};
  if (percent) cores /= 100;
  if (!(cores >= kFewest && cores <= kMost)) return {};
  return std::llround(cores * kPeriod);
}

}  // namespace tend
