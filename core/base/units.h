// Units are in the type. A bare number is milliseconds (times) or bytes (sizes).
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace tend {

struct Millis {
  int64_t n = 0;
  friend constexpr auto operator<=>(const Millis&, const Millis&) = default;
  friend constexpr Millis operator+(Millis a, Millis b) { return {a.n + b.n}; }
  friend constexpr Millis operator-(Millis a, Millis b) { return {a.n - b.n}; }
  friend constexpr Millis operator*(Millis a, int64_t k) { return {a.n * k}; }
};

struct Bytes {
  int64_t n = 0;
  friend constexpr auto operator<=>(const Bytes&, const Bytes&) = default;
};

// "200ms" "10s" "5m" "1h" "2d" or bare milliseconds; decimals allowed before a unit ("1.5s"). Never negative.
Result<Millis> parse_millis(std::string_view text);
// "512K" "100M" "1.5G", also with a trailing B or iB and lower case, or bare bytes; 1024-based. Never negative.
Result<Bytes> parse_bytes(std::string_view text);
// The shortest exact form that the parser above reads back: "1600ms", "10s", "1G".
std::string show(Millis t);
std::string show(Bytes b);

}  // namespace tend
