#include "cmd/render/width.h"

#include <cstdint>

namespace tend::render {
namespace {

struct Step {
  std::size_t bytes = 1;
  uint32_t point = 0xfffd;
};

Step next(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) return {1, lead};
  const std::size_t size = lead >= 0xf0 && lead < 0xf8   ? 4
                           : lead >= 0xe0 && lead < 0xf0 ? 3
                           : lead >= 0xc2 && lead < 0xe0 ? 2
                                                         : 1;
  if (size == 1 || at + size > text.size()) return {};
  uint32_t point = lead & (0xffu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return {};
    point = (point << 6) | (byte(at + i) & 0x3fu);
  }
  return {size, point};
}

struct Range {
  uint32_t first, last;
};

// The blocks of Unicode's East_Asian_Width W and F and of emoji; good to a block, which is what terminals do
// too.
constexpr Range kWide[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x33ff},  {0x3400, 0x4dbf},
                           {0x4e00, 0x9fff},   {0xa000, 0xa4cf},   {0xac00, 0xd7a3},  {0xf900, 0xfaff},
                           {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},  {0x1f300, 0x1f64f},
                           {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
constexpr Range kZero[] = {
    {0x0300, 0x036f}, {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}};

std::size_t cells_of(uint32_t point) {
  for (const Range& r : kZero)
    if (point >= r.first && point <= r.last) return 0;
  for (const Range& r : kWide)
    if (point >= r.first && point <= r.last) return 2;
  return 1;
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t cells = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Step step = next(text, at);
    cells += cells_of(step.point);
    at += step.bytes;
  }
  return cells;
}

std::string fit(std::string_view text, std::size_t cells) {
  if (display_width(text) <= cells) return std::string(text);
  if (cells == 0) return "";
  std::size_t used = 0, at = 0;
  while (at < text.size()) {
    const Step step = next(text, at);
    const std::size_t wide = cells_of(step.point);
    if (used + wide > cells - 1) break;
    used += wide;
    at += step.bytes;
  }
  return std::string(text.substr(0, at)) + "…";
}

std::string pad(std::string_view text, std::size_t cells) {
  std::string s = fit(text, cells);
  const std::size_t width = display_width(s);
  if (width < cells) s.append(cells - width, ' ');
  return s;
}

}  // namespace tend::render
