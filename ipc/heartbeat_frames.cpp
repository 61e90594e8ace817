#include "ipc/heartbeat_frames.h"

#include <algorithm>
#include <cstring>

#include "ipc/fields.h"

namespace tend::ipc {
namespace {

constexpr std::size_t kAtLength = 12;

// A larger frame never belongs here, whatever its kind: it is not waited for.
bool too_long(std::span<const std::byte> front) {
  return front.size() >= kHeaderSize && get<uint32_t>(front, kAtLength) > kMaxHeartbeatPayload;
}

}  // namespace

std::array<std::byte, kPingSize> encode_ping(uint32_t stream, uint64_t sequence, uint64_t mono_ns) {
  std::array<std::byte, kPingSize> out{};
  const auto bytes = std::span(out);
  put(bytes, kHeaderSize + 8, mono_ns);
  FrameHeader header;
  header.kind = FrameKind::ping;
  header.stream = stream;
  header.sequence = sequence;
  encode_header(header, bytes.subspan(kHeaderSize), bytes.first<kHeaderSize>());
  return out;
}

std::span<std::byte> HeartbeatStream::room() {
  if (!slab_) {
    slab_.emplace(pool_.take());
    begin_ = end_ = 0;
  }
  const auto bytes = slab_->bytes();
  if (begin_ > 0) {
    std::memmove(bytes.data(), bytes.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return bytes.subspan(end_);
}

void HeartbeatStream::filled(std::size_t n) {
  end_ += n;
  while (begin_ < end_) {
    const auto front = std::span<const std::byte>(slab_->bytes()).subspan(begin_, end_ - begin_);
    Frame frame;
    std::size_t consumed = 0;
    const DecodeError e = too_long(front) ? DecodeError::length : decode(front, frame, consumed);
    if (e == DecodeError::need_more) return;
    if (e != DecodeError::none) {
      skip(front);
      continue;
    }
    take(frame);
    begin_ += consumed;
  }
  slab_.reset();
}

// To where a frame may begin again.
void HeartbeatStream::skip(std::span<const std::byte> front) {
  if (!in_garbage_) sink_.garbage();
  in_garbage_ = true;
  const auto next = std::find(front.begin() + 1, front.end(), std::byte{'T'});
  begin_ += static_cast<std::size_t>(next - front.begin());
}

void HeartbeatStream::take(const Frame& frame) {
  const FrameHeader& h = frame.header;
  const bool hello = h.kind == FrameKind::hello;
  const bool whole = h.kind == FrameKind::pong && h.length >= kBeatPayload &&
                     ((h.flags & kStats) == 0 || h.length >= kBeatPayload + kStatsPayload);
  in_garbage_ = false;
  if (!hello && !whole) return sink_.garbage();
  Pong pong;
  pong.flags = h.flags;
  pong.stream = h.stream;
  pong.sequence = h.sequence;
  if (hello) {
    pong.version = {reinterpret_cast<const char*>(frame.payload.data()), frame.payload.size()};
  } else {
    pong.echo_sequence = get<uint64_t>(frame.payload, 0);
    pong.mono_ns = get<uint64_t>(frame.payload, 8);
    pong.echo_ns = get<uint64_t>(frame.payload, 16);
    pong.lag_us = get<uint32_t>(frame.payload, 24);
    if ((h.flags & kStats) != 0) {
      pong.heap_bytes = get<uint64_t>(frame.payload, kBeatPayload);
      pong.handles = get<uint32_t>(frame.payload, kBeatPayload + 8);
    }
  }
  sink_.pong(pong, hello);
}

}  // namespace tend::ipc
