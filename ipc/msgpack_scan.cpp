#include "ipc/msgpack_scan.h"

#include <array>
#include <cstdint>
#include <string>

namespace tend::ipc {
namespace {

constexpr std::size_t kDeepest = 64;

// What one tag announces: bytes that follow it as they are, or values.
struct Shape {
  std::size_t length_bytes = 0;  // width of a big-endian length after the tag
  std::size_t fixed = 0;         // bytes beside those that the length counts
  std::size_t count = 0;         // length when there is no length field
  enum class Of : uint8_t { bytes, array, map, invalid } of = Of::bytes;
};

Shape shape_of(uint8_t tag) {
  using Of = Shape::Of;
  if (tag <= 0x7f || tag >= 0xe0) return {};
  if (tag <= 0x8f) return {0, 0, tag & 0x0fu, Of::map};
  if (tag <= 0x9f) return {0, 0, tag & 0x0fu, Of::array};
  if (tag <= 0xbf) return {0, 0, tag & 0x1fu, Of::bytes};
  switch (tag) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return {};
    case 0xc4:
    case 0xd9:
      return {1, 0, 0, Of::bytes};
    case 0xc5:
    case 0xda:
      return {2, 0, 0, Of::bytes};
    case 0xc6:
    case 0xdb:
      return {4, 0, 0, Of::bytes};
    case 0xc7:
      return {1, 1, 0, Of::bytes};  // ext: a type byte after the length
    case 0xc8:
      return {2, 1, 0, Of::bytes};
    case 0xc9:
      return {4, 1, 0, Of::bytes};
    case 0xcc:
    case 0xd0:
      return {0, 1, 0, Of::bytes};
    case 0xcd:
    case 0xd1:
      return {0, 2, 0, Of::bytes};
    case 0xca:
    case 0xce:
    case 0xd2:
      return {0, 4, 0, Of::bytes};
    case 0xcb:
    case 0xcf:
    case 0xd3:
      return {0, 8, 0, Of::bytes};
    case 0xd4:
      return {0, 2, 0, Of::bytes};  // fixext: a type byte and 1, 2, 4, 8, 16
    case 0xd5:
      return {0, 3, 0, Of::bytes};
    case 0xd6:
      return {0, 5, 0, Of::bytes};
    case 0xd7:
      return {0, 9, 0, Of::bytes};
    case 0xd8:
      return {0, 17, 0, Of::bytes};
    case 0xdc:
      return {2, 0, 0, Of::array};
    case 0xdd:
      return {4, 0, 0, Of::array};
    case 0xde:
      return {2, 0, 0, Of::map};
    case 0xdf:
      return {4, 0, 0, Of::map};
    default:
      return {0, 0, 0, Of::invalid};
  }
}

auto refuse(std::string_view what, std::size_t at) {
  return fail("MessagePack: " + std::string(what) + " at byte " + std::to_string(at));
}

}  // namespace

Status scan_msgpack(std::span<const std::byte> bytes, std::size_t max_items, std::size_t max_depth) {
  std::array<std::size_t, kDeepest + 1> left{};  // values still to come, per level
  left[0] = 1;
  std::size_t depth = 0;
  std::size_t items = 0;
  std::size_t at = 0;
  for (;;) {
    while (depth > 0 && left[depth] == 0) --depth;
    if (left[depth] == 0) break;
    --left[depth];
    if (at >= bytes.size()) return refuse("cut off", at);
    if (++items > max_items) return refuse("more than " + std::to_string(max_items) + " items", at);
    const Shape shape = shape_of(std::to_integer<uint8_t>(bytes[at]));
    if (shape.of == Shape::Of::invalid) return refuse("an invalid tag", at);
    const std::size_t tag_at = at++;
    if (bytes.size() - at < shape.length_bytes + shape.fixed) return refuse("cut off", tag_at);
    std::size_t count = shape.count;
    for (std::size_t i = 0; i < shape.length_bytes; ++i) {
      count = count << 8 | std::to_integer<std::size_t>(bytes[at++]);
    }
    at += shape.fixed;
    if (shape.of == Shape::Of::map) count *= 2;  // at most 2^33: cannot overflow
    if (count > bytes.size() - at) return refuse("a length beyond the end", tag_at);
    if (shape.of == Shape::Of::bytes) {
      at += count;
      continue;
    }
    if (depth >= max_depth || depth >= kDeepest) {
      return refuse("nested deeper than " + std::to_string(max_depth), tag_at);
    }
    left[++depth] = count;
  }
  if (at != bytes.size()) return refuse("bytes after the value", at);
  return {};
}

}  // namespace tend::ipc
