// Colour on a terminal: when it is wanted, and the few inks that tend uses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tend::render {

enum class Ink : uint8_t {
  none,
  bold,
  red,
  green,
  yellow,
  blue,
  cyan,
  grey,
  bold_red,
  bold_green,
  bold_blue,
  bold_cyan,
  inverse
};

// NO_COLOR and TERM=dumb turn colours off, FORCE_COLOR on; else a terminal decides. Null: the variable is not
// set.
bool colours_wanted(bool terminal, const char* no_color, const char* force_color, const char* term);

std::string paint(Ink ink, std::string_view text, bool colour);

// The ink of "0|api |": apps keep theirs from line to line.
Ink ink_of(uint32_t id);

}  // namespace tend::render
