// Small text helpers without a better home.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tend {

std::string_view trim(std::string_view s);
std::vector<std::string> split(std::string_view s, char separator);  // keeps empty parts
bool is_digits(std::string_view s);                                  // at least one, all decimal
// Control characters (ESC among them) as \xNN, so that names never reach a terminal raw.
std::string printable(std::string_view s);
// The candidate with the smallest edit distance if that is at most 2 (and less than the length), else "".
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace tend
