// What an app writes into its heartbeat channel: cut into packets and judged. The first byte says how the
// bytes arrive.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "core/lifecycle/heartbeat.h"
#include "ipc/heartbeat_frames.h"

using namespace tend;
using namespace tend::ipc;

namespace {

constexpr uint64_t kInterval = 1'000'000'000;

void expect(bool promise) {
  if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = std::max<std::size_t>(data[0], 1);
  auto bytes = std::as_bytes(std::span(data + 1, size - 1));
  BufferPool pool(2);
  lifecycle::Heartbeat line;
  line.stream = 7;
  for (uint64_t i = 0; i < 4; ++i) lifecycle::next_ping(line, 1000 + i);
  const uint64_t sent = line.sent;
  std::size_t packets = 0, good = 0;
  HeartbeatStream stream(pool, {[&](const Pong& pong, bool hello) {
                                  ++packets;
                                  if (hello) return;
                                  uint64_t rtt = 0;
                                  const lifecycle::Marker m = lifecycle::receive(
                                      line, {pong.stream, pong.sequence, pong.echo_sequence, pong.echo_ns},
                                      2000, kInterval, rtt);
                                  if (lifecycle::counts(m)) ++good;
                                },
                                [&] { lifecycle::corrupt(line); }});
  const std::size_t whole = bytes.size();
  while (!bytes.empty()) {
    const auto room = stream.room();
    expect(!room.empty());
    const std::size_t n = std::min({piece, room.size(), bytes.size()});
    std::memcpy(room.data(), bytes.data(), n);
    stream.filled(n);
    bytes = bytes.subspan(n);
  }
  expect(packets * kHeaderSize <= whole);
  expect(good <= sent && line.answered <= sent);  // no ping is answered twice, none that was not sent
  return 0;
}
