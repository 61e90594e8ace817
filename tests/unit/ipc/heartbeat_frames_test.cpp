// Pongs cut out of a stream that may hold anything.
#include "ipc/heartbeat_frames.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace tend::ipc {
namespace {

using Bytes = std::vector<std::byte>;

Bytes frame(FrameKind kind, uint16_t flags, std::span<const std::byte> payload) {
  Bytes out(kHeaderSize + payload.size());
  std::copy(payload.begin(), payload.end(), out.begin() + kHeaderSize);
  encode_header({kind, flags, 7, 0, 3}, payload, std::span(out).first<kHeaderSize>());
  return out;
}

Bytes pong(uint64_t echo, uint16_t flags = kLagValid, std::size_t extra = 0) {
  Bytes payload(kBeatPayload + extra);
  const uint32_t lag = 1500;
  std::memcpy(payload.data(), &echo, sizeof echo);
  std::memcpy(payload.data() + 24, &lag, sizeof lag);
  if (extra >= kStatsPayload) {
    const uint64_t heap = 1 << 20;
    const uint32_t handles = 4;
    std::memcpy(payload.data() + kBeatPayload, &heap, sizeof heap);
    std::memcpy(payload.data() + kBeatPayload + 8, &handles, sizeof handles);
  }
  return frame(FrameKind::pong, flags, payload);
}

struct Ear {
  BufferPool pool;
  std::vector<Pong> pongs;
  int hellos = 0, garbage = 0;
  std::string version;
  HeartbeatStream stream{pool,
                         {[this](const Pong& p, bool hello) {
                            if (!hello) return pongs.push_back(p);
                            ++hellos;
                            version = p.version;
                          },
                          [this] { ++garbage; }}};
  void hear(std::span<const std::byte> bytes, std::size_t piece = 4096) {
    while (!bytes.empty()) {
      const auto room = stream.room();
      const std::size_t n = std::min({bytes.size(), piece, room.size()});
      std::copy_n(bytes.begin(), n, room.begin());
      stream.filled(n);
      bytes = bytes.subspan(n);
    }
  }
};

TEST_CASE("a pong that comes byte by byte is one pong") {
  Ear ear;
  ear.hear(pong(42, kLagValid | kStats, kStatsPayload), 1);
  REQUIRE(ear.pongs.size() == 1);
  CHECK(ear.pongs[0].echo_sequence == 42);
  CHECK(ear.pongs[0].lag_us == 1500);
  CHECK(ear.pongs[0].heap_bytes == 1 << 20);
  CHECK(ear.pongs[0].handles == 4);
  CHECK(ear.pongs[0].stream == 7);
  CHECK(ear.garbage == 0);
}

TEST_CASE("a hello carries its flags, and the version of its Node if there is one") {
  Ear ear;
  ear.hear(frame(FrameKind::hello, kInspectable, {}));
  CHECK(ear.hellos == 1);
  CHECK(ear.version.empty());
  ear.hear(frame(FrameKind::hello, 0, Bytes{std::byte{'2'}, std::byte{'0'}}), 1);
  CHECK(ear.hellos == 2);
  CHECK(ear.version == "20");
  CHECK(ear.pongs.empty());
}

TEST_CASE("after garbage the next frame is found, and the garbage is told once") {
  Ear ear;
  Bytes bytes(500, std::byte{'T'});
  const Bytes good = pong(1);
  bytes.insert(bytes.end(), good.begin(), good.end());
  ear.hear(bytes, 7);
  CHECK(ear.pongs.size() == 1);
  CHECK(ear.garbage == 1);
}

TEST_CASE("a flipped bit anywhere in a frame loses that frame alone") {
  const Bytes good = pong(1);
  for (std::size_t at = 0; at < good.size(); ++at) {
    CAPTURE(at);
    Ear ear;
    Bytes bytes = good;
    bytes[at] ^= std::byte{1};
    for (int i = 0; i < 4; ++i) bytes.insert(bytes.end(), good.begin(), good.end());
    ear.hear(bytes);
    // A damaged length may swallow what follows; never is a damaged frame taken for one.
    CHECK(ear.pongs.size() <= 4);
    CHECK(ear.garbage >= (at >= 12 && at < 16 ? 0 : 1));
    if (at < 12 || at >= 16) CHECK(ear.pongs.size() == 4);
  }
}

TEST_CASE("a frame that announces more than a heartbeat may have is not waited for") {
  Ear ear;
  Bytes bytes = frame(FrameKind::request, 0, Bytes(5000));
  bytes.resize(kHeaderSize);
  const Bytes good = pong(1);
  bytes.insert(bytes.end(), good.begin(), good.end());
  ear.hear(bytes);
  CHECK(ear.pongs.size() == 1);
  CHECK(ear.garbage == 1);
}

TEST_CASE("a pong that is too short, or has no room for the stats that it announces, is garbage") {
  Ear ear;
  ear.hear(frame(FrameKind::pong, 0, Bytes(kBeatPayload - 1)));
  ear.hear(pong(1, kStats));
  ear.hear(frame(FrameKind::ping, 0, Bytes(kBeatPayload)));
  CHECK(ear.pongs.empty());
  CHECK(ear.garbage == 3);
}

TEST_CASE("a ping is a frame of 60 bytes that says when it was sent") {
  const auto bytes = encode_ping(7, 42, 1'000'000'000);
  Frame f;
  std::size_t consumed = 0;
  REQUIRE(decode(bytes, f, consumed) == DecodeError::none);
  CHECK(consumed == 60);
  CHECK(f.header.kind == FrameKind::ping);
  CHECK(f.header.stream == 7);
  CHECK(f.header.sequence == 42);
  uint64_t sent = 0;
  std::memcpy(&sent, f.payload.data() + 8, sizeof sent);
  CHECK(sent == 1'000'000'000);
}

}  // namespace
}  // namespace tend::ipc
