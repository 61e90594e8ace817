#include "cmd/render/colour.h"

namespace tend::render {
namespace {

std::string_view code(Ink ink) {
  switch (ink) {
    case Ink::none:
      return "";
    case Ink::bold:
      return "\x1b[1m";
    case Ink::red:
      return "\x1b[31m";
    case Ink::green:
      return "\x1b[32m";
    case Ink::yellow:
      return "\x1b[33m";
    case Ink::blue:
      return "\x1b[34m";
    case Ink::cyan:
      return "\x1b[36m";
    case Ink::grey:
      return "\x1b[90m";
    case Ink::bold_red:
      return "\x1b[1;31m";
    case Ink::bold_green:
      return "\x1b[1;32m";
    case Ink::bold_blue:
      return "\x1b[1;34m";
    case Ink::bold_cyan:
      return "\x1b[1;36m";
    case Ink::inverse:
      return "\x1b[7m";
  }
  return "";
}

}  // namespace

bool colours_wanted(bool terminal, const char* no_color, const char* force_color, const char* term) {
  if (no_color != nullptr && *no_color != '\0') return false;
  if (force_color != nullptr) {
    const std::string_view forced = force_color;
    return forced != "0" && forced != "false";
  }
  if (term != nullptr && std::string_view(term) == "dumb") return false;
  return terminal;
}

std::string paint(Ink ink, std::string_view text, bool colour) {
  if (!colour || ink == Ink::none || text.empty()) return std::string(text);
  std::string s(code(ink));
  s += text;
  s += "\x1b[0m";
  return s;
}

Ink ink_of(uint32_t id) {
  constexpr Ink kInks[] = {Ink::green,      Ink::cyan,      Ink::yellow,   Ink::blue,
                           Ink::bold_green, Ink::bold_cyan, Ink::bold_blue};
  return kInks[id % std::size(kInks)];
}

}  // namespace tend::render
