// Small text helpers without a better home.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tend {

std::string_view trim(std::string_view s);
std::vector<std::string> split(std::string_view s, char separator);  // keeps empty parts
bool is_digits(std::string_view s);                                  // at least one, all decimal
// A control character at the front: of ASCII, or U+0080 to U+009F in UTF-8, of which U+009B begins the same
// sequences as ESC [ does.
struct Control {
  unsigned char code = 0;
  std::size_t bytes = 0;
};
std::optional<Control> leading_control(std::string_view s);
// Control characters (ESC and CSI among them) as \xNN, so that names never reach a terminal raw.
std::string printable(std::string_view s);
// The candidate with the smallest edit distance if that is at most 2 (and less than the length), else "".
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace tend
