// How many terminal cells a UTF-8 text takes, without a locale.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tend::render {

// Wide East Asian characters and emoji count 2, combining marks 0, a broken byte 1. REQUIRES: no escape
// sequences.
std::size_t display_width(std::string_view text);
// At most `cells` wide; what was cut ends in "…".
std::string fit(std::string_view text, std::size_t cells);
// fit() and blanks up to exactly `cells`.
std::string pad(std::string_view text, std::size_t cells);

}  // namespace tend::render
