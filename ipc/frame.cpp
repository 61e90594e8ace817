#include "ipc/frame.h"

#include <algorithm>

#include "ipc/fields.h"

namespace tend::ipc {
namespace {

constexpr std::array<std::byte, 4> kMagic = {std::byte{'T'}, std::byte{'N'}, std::byte{'D'}, std::byte{'1'}};
constexpr std::size_t kAtVersion = 4;
constexpr std::size_t kAtKind = 5;
constexpr std::size_t kAtFlags = 6;
constexpr std::size_t kAtStream = 8;
constexpr std::size_t kAtLength = 12;
constexpr std::size_t kAtSequence = 16;
constexpr std::size_t kAtCrc = 24;
constexpr std::size_t kAtReserved = 28;

// Takes the header in three pieces so that its CRC field counts as zero without a copy.
uint32_t frame_crc(std::span<const std::byte> header, std::span<const std::byte> payload) {
  constexpr std::array<std::byte, 4> kZero{};
  uint32_t crc = crc32c(header.first(kAtCrc));
  crc = crc32c(kZero, crc);
  crc = crc32c(header.subspan(kAtReserved, kHeaderSize - kAtReserved), crc);
  return crc32c(payload, crc);
}

uint32_t limit_of(FrameKind kind) {
  return kind == FrameKind::ping || kind == FrameKind::pong ? kMaxHeartbeatPayload : kMaxPayload;
}

}  // namespace

void encode_header(const FrameHeader& header, std::span<const std::byte> payload,
                   std::span<std::byte, kHeaderSize> out) {
  std::copy(kMagic.begin(), kMagic.end(), out.begin());
  put(out, kAtVersion, kFrameVersion);
  put(out, kAtKind, static_cast<uint8_t>(header.kind));
  put(out, kAtFlags, header.flags);
  put(out, kAtStream, header.stream);
  put(out, kAtLength, static_cast<uint32_t>(payload.size()));
  put(out, kAtSequence, header.sequence);
  put(out, kAtReserved, uint32_t{0});
  put(out, kAtCrc, frame_crc(out, payload));
}

DecodeError decode(std::span<const std::byte> bytes, Frame& frame, std::size_t& consumed) {
  consumed = 0;
  const std::size_t seen = std::min(bytes.size(), kMagic.size());
  if (!std::equal(kMagic.begin(), kMagic.begin() + static_cast<std::ptrdiff_t>(seen), bytes.begin())) {
    return DecodeError::magic;
  }
  if (bytes.size() > kAtVersion && get<uint8_t>(bytes, kAtVersion) != kFrameVersion)
    return DecodeError::version;
  if (bytes.size() < kHeaderSize) return DecodeError::need_more;
  if (get<uint32_t>(bytes, kAtReserved) != 0) return DecodeError::reserved;
  const auto kind = static_cast<FrameKind>(get<uint8_t>(bytes, kAtKind));
  const auto length = get<uint32_t>(bytes, kAtLength);
  if (length > limit_of(kind)) return DecodeError::length;
  if (bytes.size() - kHeaderSize < length) return DecodeError::need_more;
  const auto payload = bytes.subspan(kHeaderSize, length);
  if (frame_crc(bytes.first(kHeaderSize), payload) != get<uint32_t>(bytes, kAtCrc)) return DecodeError::crc;
  frame.header = {kind, get<uint16_t>(bytes, kAtFlags), get<uint32_t>(bytes, kAtStream), length,
                  get<uint64_t>(bytes, kAtSequence)};
  frame.payload = payload;
  consumed = kHeaderSize + length;
  return DecodeError::none;
}

}  // namespace tend::ipc
