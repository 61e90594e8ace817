#include "ipc/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

#include "ipc/frame.h"

namespace tend::ipc {
namespace {

static_assert(std::endian::native == std::endian::little, "the frame and its tables are little-endian");

constexpr uint32_t kPolynomial = 0x82F63B78;  // Castagnoli, reflected

using Table = std::array<std::array<uint32_t, 256>, 8>;

constexpr Table make_table() {
  Table t{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    t[0][i] = crc;
  }
  for (std::size_t slice = 1; slice < 8; ++slice) {
    for (std::size_t i = 0; i < 256; ++i) {
      t[slice][i] = (t[slice - 1][i] >> 8) ^ t[0][t[slice - 1][i] & 0xff];
    }
  }
  return t;
}

constexpr Table kTable = make_table();

uint64_t load64(const std::byte* p) {
  uint64_t v = 0;
  std::memcpy(&v, p, sizeof v);
  return v;
}

}  // namespace

// Slicing by 8: eight table look-ups take eight bytes (M. Kounavis, F. Berry, Intel, 2005).
uint32_t crc32c_table(std::span<const std::byte> bytes, uint32_t seed) {
  uint32_t crc = ~seed;
  const std::byte* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    const uint64_t v = load64(p) ^ crc;
    crc = kTable[7][v & 0xff] ^ kTable[6][(v >> 8) & 0xff] ^ kTable[5][(v >> 16) & 0xff] ^
          kTable[4][(v >> 24) & 0xff] ^ kTable[3][(v >> 32) & 0xff] ^ kTable[2][(v >> 40) & 0xff] ^
          kTable[1][(v >> 48) & 0xff] ^ kTable[0][v >> 56];
  }
  for (; left > 0; --left, ++p) crc = (crc >> 8) ^ kTable[0][(crc ^ std::to_integer<uint32_t>(*p)) & 0xff];
  return ~crc;
}

#if defined(__x86_64__)
bool crc32c_has_instruction() { return __builtin_cpu_supports("sse4.2") != 0; }

__attribute__((target("sse4.2"))) uint32_t crc32c_instruction(std::span<const std::byte> bytes,
                                                              uint32_t seed) {
  uint64_t crc = static_cast<uint32_t>(~seed);
  const std::byte* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) crc = __builtin_ia32_crc32di(crc, load64(p));
  auto narrow = static_cast<uint32_t>(crc);
  for (; left > 0; --left, ++p) narrow = __builtin_ia32_crc32qi(narrow, std::to_integer<uint8_t>(*p));
  return ~narrow;
}
#else
bool crc32c_has_instruction() { return false; }

uint32_t crc32c_instruction(std::span<const std::byte> bytes, uint32_t seed) {
  return crc32c_table(bytes, seed);
}
#endif

uint32_t crc32c(std::span<const std::byte> bytes, uint32_t seed) {
  return crc32c_has_instruction() ? crc32c_instruction(bytes, seed) : crc32c_table(bytes, seed);
}

}  // namespace tend::ipc
