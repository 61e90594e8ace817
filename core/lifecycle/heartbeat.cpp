#include "core/lifecycle/heartbeat.h"

#include <algorithm>

namespace tend::lifecycle {
namespace {

Marker judge_pong(Heartbeat& h, const PongSeen& pong, uint64_t now_ns, uint64_t interval_ns,
                  uint64_t& rtt_ns) {
  if (pong.stream != h.stream || pong.echo_sequence == 0 || pong.echo_sequence > h.sent) return Marker::stale;
  PingSent& ping = h.window[pong.echo_sequence % kPingWindow];
  // A repeated number is a repeated packet, whatever it echoes.
  if (ping.sequence != pong.echo_sequence || ping.mono_ns != pong.echo_ns || pong.sequence <= h.last_pong)
    return Marker::stale;
  h.last_pong = pong.sequence;
  ping.sequence = 0;
  rtt_ns = now_ns > ping.mono_ns ? now_ns - ping.mono_ns : 0;
  if (pong.echo_sequence < h.answered) return Marker::out_of_order;
  h.answered = pong.echo_sequence;
  return rtt_ns > interval_ns ? Marker::late : Marker::healthy;
}

}  // namespace

uint64_t next_ping(Heartbeat& h, uint64_t now_ns) {
  h.sent += 1;
  h.window[h.sent % kPingWindow] = {h.sent, now_ns};
  return h.sent;
}

Marker receive(Heartbeat& h, const PongSeen& pong, uint64_t now_ns, uint64_t interval_ns, uint64_t& rtt_ns) {
  rtt_ns = 0;
  const Marker marker = judge_pong(h, pong, now_ns, interval_ns, rtt_ns);
  h.seen[static_cast<std::size_t>(marker)] += 1;
  return marker;
}

void corrupt(Heartbeat& h) { h.seen[static_cast<std::size_t>(Marker::corrupt)] += 1; }

}  // namespace tend::lifecycle
