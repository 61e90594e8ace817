// Each marker fault of a packet.
#include <doctest/doctest.h>

#include "core/lifecycle/heartbeat.h"

namespace tend::lifecycle {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kInterval = 1000 * kMs;

struct Line {
  Heartbeat h;
  uint64_t own = 0;  // the other side's count
  uint64_t rtt = 0;
  Line() { h.stream = 7; }
  PongSeen answer(uint64_t sequence, uint64_t sent_ns) { return {7, ++own, sequence, sent_ns}; }
  Marker take(const PongSeen& pong, uint64_t now) { return receive(h, pong, now, kInterval, rtt); }
};

TEST_CASE("an answer in time is healthy and tells its round trip") {
  Line line;
  const uint64_t n = next_ping(line.h, 1000 * kMs);
  CHECK(line.take(line.answer(n, 1000 * kMs), 1003 * kMs) == Marker::healthy);
  CHECK(line.rtt == 3 * kMs);
  CHECK(line.h.answered == n);
}

TEST_CASE("an answer after an interval is late and counts") {
  Line line;
  const uint64_t n = next_ping(line.h, 1000 * kMs);
  const Marker m = line.take(line.answer(n, 1000 * kMs), 2001 * kMs);
  CHECK(m == Marker::late);
  CHECK(counts(m));
}

TEST_CASE("the same answer twice is stale") {
  Line line;
  const uint64_t n = next_ping(line.h, 5 * kMs);
  const PongSeen pong = line.answer(n, 5 * kMs);
  CHECK(line.take(pong, 6 * kMs) == Marker::healthy);
  CHECK(line.take(pong, 7 * kMs) == Marker::stale);
  CHECK(line.take(line.answer(n, 5 * kMs), 8 * kMs) == Marker::stale);  // under a fresh number too
}

TEST_CASE("an echo of another stream is stale") {
  Line line;
  const uint64_t n = next_ping(line.h, 5 * kMs);
  PongSeen pong = line.answer(n, 5 * kMs);
  pong.stream = 6;
  CHECK(line.take(pong, 6 * kMs) == Marker::stale);
}

TEST_CASE("an echo with another time than the ping was sent with is stale") {
  Line line;
  const uint64_t n = next_ping(line.h, 5 * kMs);
  CHECK(line.take(line.answer(n, 4 * kMs), 6 * kMs) == Marker::stale);
  CHECK(line.rtt == 0);
}

TEST_CASE("an answer to a ping that was never sent is stale") {
  Line line;
  next_ping(line.h, 5 * kMs);
  CHECK(line.take(line.answer(2, 5 * kMs), 6 * kMs) == Marker::stale);
  CHECK(line.take(line.answer(0, 0), 6 * kMs) == Marker::stale);
}

TEST_CASE("an answer whose own number does not grow is a repeated packet") {
  Line line;
  const uint64_t a = next_ping(line.h, 5 * kMs);
  const uint64_t b = next_ping(line.h, 9 * kMs);
  CHECK(line.take(line.answer(a, 5 * kMs), 10 * kMs) == Marker::healthy);
  PongSeen pong = line.answer(b, 9 * kMs);
  pong.sequence = 1;
  CHECK(line.take(pong, 11 * kMs) == Marker::stale);
}

TEST_CASE("an earlier ping that is answered after a later one is out of order, and a sign of life") {
  Line line;
  const uint64_t a = next_ping(line.h, 5 * kMs);
  const uint64_t b = next_ping(line.h, 9 * kMs);
  CHECK(line.take(line.answer(b, 9 * kMs), 10 * kMs) == Marker::healthy);
  const Marker m = line.take(line.answer(a, 5 * kMs), 11 * kMs);
  CHECK(m == Marker::out_of_order);
  CHECK(counts(m));
  CHECK(line.h.answered == b);
}

TEST_CASE("an answer from beyond the window is stale") {
  Line line;
  const uint64_t first = next_ping(line.h, 1 * kMs);
  for (uint64_t i = 0; i < kPingWindow; ++i) next_ping(line.h, (2 + i) * kMs);
  CHECK(line.take(line.answer(first, 1 * kMs), 100 * kMs) == Marker::stale);
}

TEST_CASE("each packet is counted under its marker") {
  Line line;
  const uint64_t n = next_ping(line.h, 5 * kMs);
  line.take(line.answer(n, 5 * kMs), 6 * kMs);
  line.take(line.answer(n, 5 * kMs), 6 * kMs);
  corrupt(line.h);
  CHECK(line.h.seen[static_cast<std::size_t>(Marker::healthy)] == 1);
  CHECK(line.h.seen[static_cast<std::size_t>(Marker::stale)] == 1);
  CHECK(line.h.seen[static_cast<std::size_t>(Marker::corrupt)] == 1);
}

TEST_CASE("28: a clock that jumps back gives no negative round trip") {
  Line line;
  const uint64_t n = next_ping(line.h, 100 * kMs);
  CHECK(line.take(line.answer(n, 100 * kMs), 50 * kMs) == Marker::healthy);
  CHECK(line.rtt == 0);
}

}  // namespace
}  // namespace tend::lifecycle
