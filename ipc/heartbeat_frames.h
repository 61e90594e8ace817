// The bytes of pings and pongs (settled 18; the header is frame.h's), and how they are cut out of a stream
// that may hold anything: after garbage at the next magic. Payload, little-endian:
//   echo_seq8, mono_ns8, echo_ns8, lag_us4; then, with kStats, heap_bytes8, handles4
// A hello has none, or the version of its Node as text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "ipc/buffer_pool.h"
#include "ipc/frame.h"

namespace tend::ipc {

inline constexpr std::size_t kBeatPayload = 28;
inline constexpr std::size_t kStatsPayload = 12;
inline constexpr std::size_t kPingSize = kHeaderSize + kBeatPayload;

// Flags of a pong or hello.
inline constexpr uint16_t kLagValid = 2, kFirstPong = 4, kStats = 16, kInspectable = 32, kDebugged = 64,
                          kAwaitsAck = 128;  // a handle that it sent on its Node channel was not ACKed yet

struct Pong {
  uint16_t flags = 0;
  uint32_t stream = 0;
  uint64_t sequence = 0;
  uint64_t echo_sequence = 0;
  uint64_t mono_ns = 0;  // the process' CLOCK_MONOTONIC
  uint64_t echo_ns = 0;
  uint32_t lag_us = 0;
  uint64_t heap_bytes = 0;  // with kStats
  uint32_t handles = 0;
  std::string_view version;  // of a hello; valid during the call only
};

// Allocates nothing.
std::array<std::byte, kPingSize> encode_ping(uint32_t stream, uint64_t sequence, uint64_t mono_ns);

class HeartbeatStream {
 public:
  // `pong` also for hello, then only flags and version are set; `garbage` once per run of bytes that are no
  // frame.
  struct Sink {
    std::function<void(const Pong& pong, bool hello)> pong;
    std::function<void()> garbage;
  };
  HeartbeatStream(BufferPool& pool, Sink sink) : pool_(pool), sink_(std::move(sink)) {}

  // Where the next bytes go, never empty; then filled() with the number that arrived. The sink may not
  // destroy the stream.
  std::span<std::byte> room();
  void filled(std::size_t n);

 private:
  void take(const Frame& frame);
  void skip(std::span<const std::byte> front);
  BufferPool& pool_;
  Sink sink_;
  std::optional<BufferPool::Slab> slab_;  // only while bytes are in it
  std::size_t begin_ = 0, end_ = 0;
  bool in_garbage_ = false;
};

}  // namespace tend::ipc
