// The one frame header of everything that tend speaks (settled 18): 32 bytes little-endian
//   magic4 "TND1", version1, kind1, flags2, stream4, length4, sequence8, crc32c4, reserved4 = 0
// CRC32C (Castagnoli, reflected, init and xor ffffffff) over the header with its crc field zero, and the
// payload.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tend::ipc {

inline constexpr std::size_t kHeaderSize = 32;
inline constexpr uint32_t kMaxPayload = 16u << 20;
inline constexpr uint32_t kMaxHeartbeatPayload = 4096;
inline constexpr uint8_t kFrameVersion = 1;

enum class FrameKind : uint8_t {
  ping = 1,
  pong = 2,
  hello = 3,     // hello: both sides, first; payload {version, protocol}
  request = 16,  // opens a stream: {method, params}
  reply = 17,    // ends it: {ok: params} or {error: text, code}
  item = 18,     // one element of a stream that stays open (subscribe)
  cancel = 19,   // the caller gives the stream up
  credit = 20,   // payload u32: how many more items the caller takes
};

struct FrameHeader {
  FrameKind kind{};
  uint16_t flags = 0;
  uint32_t stream = 0;
  uint32_t length = 0;
  uint64_t sequence = 0;
};

struct Frame {
  FrameHeader header;
  std::span<const std::byte> payload;  // valid until the reader is fed again
};

// crc32c(b, crc32c(a)) is the CRC of a followed by b.
uint32_t crc32c(std::span<const std::byte> bytes, uint32_t seed = 0);

// Writes the header (with its CRC) for `payload` into `out`; header.length is taken from the payload.
// Allocates nothing. REQUIRES: the payload is at most kMaxPayload, or kMaxHeartbeatPayload for ping and pong.
void encode_header(const FrameHeader& header, std::span<const std::byte> payload,
                   std::span<std::byte, kHeaderSize> out);

enum class DecodeError : uint8_t { none, need_more, magic, version, reserved, length, crc };

// Looks at the front of `bytes`. none: a whole valid frame, `consumed` is its size. A header is judged before
// its payload is there. Allocates nothing.
DecodeError decode(std::span<const std::byte> bytes, Frame& frame, std::size_t& consumed);

}  // namespace tend::ipc
