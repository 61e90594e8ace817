// Pings and their answers, judged by the markers of each packet (settled 18, 41). Pure.
#pragma once

#include <array>
#include <cstdint>

namespace tend::lifecycle {

inline constexpr uint64_t kPingWindow = 64;  // how many pings back an answer may be

// What one packet is.
enum class Marker : uint8_t {
  healthy,
  late,          // it took more than an interval
  out_of_order,  // a later ping was answered before
  stale,    // of another stream, of a ping that was answered, or with another time than that was sent with
  corrupt,  // no frame, or none that belongs here
};
inline constexpr int kMarkers = 5;

struct PingSent {
  uint64_t sequence = 0;  // 0: none
  uint64_t mono_ns = 0;   // CLOCK_MONOTONIC when it was sent
};

struct PongSeen {
  uint32_t stream = 0;
  uint64_t sequence = 0;  // of its own count
  uint64_t echo_sequence = 0;
  uint64_t echo_ns = 0;
};

struct Heartbeat {
  uint32_t stream = 0;                         // one for each process and each life of the manager
  uint64_t sent = 0;                           // number of the last ping
  uint64_t answered = 0;                       // the highest that was answered
  uint64_t last_pong = 0;                      // the other side's count
  std::array<PingSent, kPingWindow> window{};  // by sequence; cleared when answered
  std::array<uint32_t, kMarkers> seen{};       // how many packets of each marker
};

// Notes that a ping goes out now, and gives its number.
uint64_t next_ping(Heartbeat& h, uint64_t now_ns);
// Judges a pong; `rtt_ns` is set for one that counts (healthy, late, out_of_order).
Marker receive(Heartbeat& h, const PongSeen& pong, uint64_t now_ns, uint64_t interval_ns, uint64_t& rtt_ns);
// Something that was no pong.
void corrupt(Heartbeat& h);
constexpr bool counts(Marker m) { return m <= Marker::out_of_order; }

}  // namespace tend::lifecycle
