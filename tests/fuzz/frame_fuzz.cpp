// Everything of ipc/ that reads bytes of strangers: the frame decoder and reader, the MessagePack scanner and
// parser, JSON, Node's lines. The first byte says how the rest arrives. A broken promise aborts.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "ipc/frame_reader.h"
#include "ipc/msgpack.h"
#include "ipc/node_lines.h"

using namespace tend;
using namespace tend::ipc;

namespace {

void expect(bool promise) {
  if (!promise) std::abort();
}

// Feeds a reader in pieces of `piece` bytes; no frame may be larger than what went in.
void read_frames(std::span<const std::byte> bytes, std::size_t piece) {
  BufferPool pool(2);
  FrameReader reader(pool);
  std::size_t fed = 0;
  std::size_t out = 0;
  while (fed < bytes.size()) {
    const auto room = reader.room();
    expect(!room.empty());
    const std::size_t n = std::min({piece, room.size(), bytes.size() - fed});
    std::memcpy(room.data(), bytes.data() + fed, n);
    reader.filled(n);
    fed += n;
    Frame frame;
    DecodeError e = DecodeError::none;
    while ((e = reader.next(frame)) == DecodeError::none) {
      expect(frame.payload.size() == frame.header.length);
      out += kHeaderSize + frame.payload.size();
      expect(out <= fed);
    }
    if (e != DecodeError::need_more) return;
  }
}

// Takes header fields from the input and gives them a right checksum: what was encoded decodes to itself.
void round_trip(std::span<const std::byte> bytes) {
  if (bytes.size() < 16) return;
  FrameHeader h;
  std::memcpy(&h.kind, bytes.data(), 1);
  std::memcpy(&h.flags, bytes.data() + 1, 2);
  std::memcpy(&h.stream, bytes.data() + 3, 4);
  std::memcpy(&h.sequence, bytes.data() + 7, 8);
  const auto payload = bytes.subspan(16, std::min<std::size_t>(bytes.size() - 16, kMaxHeartbeatPayload));
  std::vector<std::byte> whole(kHeaderSize + payload.size());
  encode_header(h, payload, std::span<std::byte, kHeaderSize>(whole.data(), kHeaderSize));
  std::copy(payload.begin(), payload.end(), whole.begin() + kHeaderSize);
  Frame frame;
  std::size_t consumed = 0;
  expect(decode(whole, frame, consumed) == DecodeError::none);
  expect(consumed == whole.size() && frame.header.kind == h.kind && frame.header.flags == h.flags);
  expect(frame.header.stream == h.stream && frame.header.sequence == h.sequence);
  expect(std::equal(payload.begin(), payload.end(), frame.payload.begin(), frame.payload.end()));
}

void values(std::span<const std::byte> bytes) {
  if (const auto v = from_msgpack(bytes)) {
    const auto again = to_msgpack(*v);
    expect(from_msgpack(std::as_bytes(std::span(again)), kMaxOwnItems).has_value());
    expect(from_json(to_json(*v)).has_value());
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (const auto v = from_json(text)) expect(from_json(to_json(*v)).has_value());
}

void node_lines(std::string_view text, bool take_partial) {
  NodeLines lines(64);
  while (!text.empty()) {
    const auto step = lines.next(text.substr(0, 40), take_partial);
    expect(step.consume <= text.size());
    expect(!step.line || (step.line->size() <= 64 && step.line->find('\n') == std::string_view::npos));
    if (step.consume == 0) {
      if (take_partial) std::abort();
      take_partial = true;
    }
    text.remove_prefix(step.consume);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = 1 + data[0];
  const auto rest = std::as_bytes(std::span(data + 1, size - 1));
  read_frames(rest, piece);
  round_trip(rest);
  values(rest);
  node_lines({reinterpret_cast<const char*>(data + 1), size - 1}, piece % 2 == 0);
  return 0;
}
