#include "ipc/frame.h"

#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <vector>

#include "ipc/crc32c.h"

using namespace tend::ipc;

namespace {

std::span<const std::byte> bytes_of(std::string_view s) { return std::as_bytes(std::span(s)); }

std::vector<std::byte> frame_of(FrameHeader h, std::string_view payload) {
  std::vector<std::byte> out(kHeaderSize + payload.size());
  encode_header(h, bytes_of(payload), std::span<std::byte, kHeaderSize>(out.data(), kHeaderSize));
  if (!payload.empty()) std::memcpy(out.data() + kHeaderSize, payload.data(), payload.size());
  return out;
}

DecodeError decode_all(std::span<const std::byte> bytes) {
  Frame f;
  std::size_t consumed = 0;
  const DecodeError e = decode(bytes, f, consumed);
  CHECK((consumed != 0) == (e == DecodeError::none));
  return e;
}

}  // namespace

TEST_CASE("both ways to compute CRC32C give the published check values") {
  std::vector<std::byte> zeros(32);
  for (auto crc : {&crc32c, &crc32c_table, &crc32c_instruction}) {
    if (crc == &crc32c_instruction && !crc32c_has_instruction()) continue;
    CHECK(crc(bytes_of("123456789"), 0) == 0xE3069283);
    CHECK(crc(bytes_of(""), 0) == 0);
    CHECK(crc(zeros, 0) == 0x8A9136AA);  // RFC 3720 B.4
  }
}

TEST_CASE("table and instruction agree on every length and offset, also when the bytes come in two parts") {
  std::mt19937 random(1);
  std::vector<std::byte> data(300);
  for (auto& b : data) b = static_cast<std::byte>(random());
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t n = 0; n + from <= 100; ++n) {
      const auto part = std::span<const std::byte>(data).subspan(from, n);
      const uint32_t whole = crc32c_table(part);
      CHECK(crc32c_table(part.subspan(n / 3), crc32c_table(part.first(n / 3))) == whole);
      if (crc32c_has_instruction()) CHECK(crc32c_instruction(part) == whole);
    }
  }
}

TEST_CASE("a frame decodes to what was encoded and takes exactly its bytes") {
  const FrameHeader h{FrameKind::request, 0xA55A, 0x01020304, 0, 0x1122334455667788};
  auto bytes = frame_of(h, "hello");
  bytes.push_back(std::byte{'T'});
  Frame f;
  std::size_t consumed = 0;
  REQUIRE(decode(bytes, f, consumed) == DecodeError::none);
  CHECK(consumed == kHeaderSize + 5);
  CHECK(f.header.kind == h.kind);
  CHECK(f.header.flags == h.flags);
  CHECK(f.header.stream == h.stream);
  CHECK(f.header.sequence == h.sequence);
  CHECK(f.header.length == 5);
  CHECK(std::memcmp(f.payload.data(), "hello", 5) == 0);
}

TEST_CASE("the header's layout on the wire is the documented one") {
  const auto b = frame_of({FrameKind::ping, 0x0201, 0x06050403, 0, 0x0e0d0c0b0a090807}, "xyz");
  const unsigned char expected[24] = {'T', 'N', 'D', '1', 1, 1, 1, 2,  3,  4,  5,  6,
                                      3,   0,   0,   0,   7, 8, 9, 10, 11, 12, 13, 14};
  CHECK(std::memcmp(b.data(), expected, sizeof expected) == 0);
  CHECK(std::memcmp(b.data() + 28, "\0\0\0\0", 4) == 0);
}

TEST_CASE("any flipped bit of header or payload is refused") {
  const auto good = frame_of({FrameKind::request, 3, 7, 0, 42}, "payload");
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      auto bad = good;
      bad[at] ^= static_cast<std::byte>(1 << bit);
      const DecodeError e = decode_all(bad);
      CAPTURE(at);
      CAPTURE(bit);
      if (at < 4)
        CHECK(e == DecodeError::magic);
      else if (at == 4)
        CHECK(e == DecodeError::version);
      else if (at >= 28 && at < 32)
        CHECK(e == DecodeError::reserved);
      else if (at >= 12 && at < 16)
        CHECK((e == DecodeError::crc || e == DecodeError::need_more || e == DecodeError::length));
      else
        CHECK(e == DecodeError::crc);
    }
  }
}

TEST_CASE("a frame cut off at any byte needs more") {
  const auto good = frame_of({FrameKind::item, 0, 7, 0, 42}, "payload");
  for (std::size_t n = 0; n < good.size(); ++n)
    CHECK(decode_all(std::span(good).first(n)) == DecodeError::need_more);
  CHECK(decode_all(good) == DecodeError::none);
}

TEST_CASE("a length beyond the kind's limit is refused before any payload came") {
  const auto with_length = [](FrameKind kind, uint32_t length) {
    auto b = frame_of({kind, 0, 1, 0, 1}, "");
    std::memcpy(b.data() + 12, &length, 4);
    return b;
  };
  for (const FrameKind kind : {FrameKind::ping, FrameKind::pong}) {
    CHECK(decode_all(with_length(kind, kMaxHeartbeatPayload)) == DecodeError::need_more);
    CHECK(decode_all(with_length(kind, kMaxHeartbeatPayload + 1)) == DecodeError::length);
  }
  CHECK(decode_all(with_length(FrameKind::request, kMaxPayload)) == DecodeError::need_more);
  CHECK(decode_all(with_length(FrameKind::request, kMaxPayload + 1)) == DecodeError::length);
  CHECK(decode_all(with_length(FrameKind::request, UINT32_MAX)) == DecodeError::length);
}

TEST_CASE("39: random bytes never decode to a frame") {
  std::mt19937 random(7);
  std::vector<std::byte> data(64);
  for (int i = 0; i < 20'000; ++i) {
    for (auto& b : data) b = static_cast<std::byte>(random());
    // Half of them with the right beginning, so that later checks are reached.
    if (i % 2 == 0) std::memcpy(data.data(), "TND1\x01", 5);
    if (i % 4 == 0)
      std::memcpy(data.data() + 12, "\x08\0\0\0", 4), std::memcpy(data.data() + 28, "\0\0\0\0", 4);
    REQUIRE(decode_all(data) != DecodeError::none);
  }
}
