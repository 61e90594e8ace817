// What the supervisor and tend-probe say to each other: frames of ipc/frame.h over a socket that the helper
// has as descriptor 3. Payloads are MessagePack maps.
//   request (stream: the probe's number; sequence: the caller's, never used twice): encode(ProbeRequest)
//   reply   (stream and sequence of the request): encode(ProbeReply)
//   cancel  (stream; empty): no reply will follow, unless it is under way already
// The end of the socket ends the helper and all that it asked. A frame that cannot be read ends it too, with
// an error.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/model/probe_target.h"

namespace tend::health {

inline constexpr int kProbeSocket = 3;
inline constexpr std::size_t kMaxUnderWay = 10'000;      // probes in one helper
inline constexpr std::size_t kMaxProbeBody = 64u << 10;  // what is read of an answer
inline constexpr std::size_t kMaxProbeText = 200;
inline constexpr Millis kMaxProbeTimeout{2147483647};

struct ProbeRequest {
  ProbeTarget target;  // with its port
  Millis timeout{2000};
  std::vector<StatusRange> status{{200, 399}};  // http
  std::string source;                           // http, tcp: loopback address to come from; empty: any
  std::string match;                            // http: what the body must contain; empty: anything
  // Of exec:
  StringList env;              // "NAME=value"; empty: the helper's own
  std::string cwd;             // empty: the helper's own
  int32_t uid = -1, gid = -1;  // -1: the helper's own
  std::vector<uint32_t> groups;
};

struct ProbeReply {
  bool ok = false;
  bool unknown = false;  // the helper could not ask: it says nothing of the app
  std::string text;      // "status 503", "connection refused", "no answer in 2s", "exit code 1: disk full"
  Millis took{0};
};

std::vector<uint8_t> encode(const ProbeRequest& request);
std::vector<uint8_t> encode(const ProbeReply& reply);
// Error: it is no such map, or holds what its text form could not.
Result<ProbeRequest> decode_request(std::span<const std::byte> payload);
Result<ProbeReply> decode_reply(std::span<const std::byte> payload);

}  // namespace tend::health
