#include "core/config/document.h"

namespace tend::config {

void append_utf8(uint32_t c, std::string& out) {
  if (c >= 0xd800 && c < 0xe000) c = 0xfffd;  // half of a pair
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 63));
    out += static_cast<char>(0x80 | (c & 63));
  } else {
    out += static_cast<char>(0xf0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 63));
    out += static_cast<char>(0x80 | ((c >> 6) & 63));
    out += static_cast<char>(0x80 | (c & 63));
  }
}

std::size_t invalid_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x80) {
      ++i;
      continue;
    }
    const std::size_t more = c >= 0xf0 && c < 0xf5   ? 3
                             : c >= 0xe0 && c < 0xf0 ? 2
                             : c >= 0xc2 && c < 0xe0 ? 1
                                                     : 0;
    if (more == 0 || i + more >= text.size()) return i;
    uint32_t code = c & (0x3fu >> more);
    for (std::size_t k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xc0) != 0x80) return i;
      code = (code << 6) | (next & 0x3fu);
    }
    const bool wrong = (more == 2 && code < 0x800) || (more == 3 && (code < 0x10000 || code > 0x10ffff)) ||
                       (code >= 0xd800 && code < 0xe000);
    if (wrong) return i;
    i += more + 1;
  }
  return std::string_view::npos;
}

}  // namespace tend::config
