// The payloads of the RPC, written and read by both sides.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/model/value.h"
#include "ipc/msgpack.h"

namespace tend::ipc {

inline constexpr int64_t kRpcProtocol = 1;
inline constexpr uint32_t kInitialCredit = 256;  // items that a stream may send before the first credit frame
inline constexpr uint32_t kMaxCredit = 1u << 20;  // credit does not add up beyond
inline constexpr uint32_t kConnectionStream = 0;  // an error reply here speaks of the whole connection

inline std::vector<uint8_t> hello_payload(std::string_view version, int64_t pid) {
  return to_msgpack(Map{{"version", version}, {"protocol", kRpcProtocol}, {"pid", pid}});
}

inline std::vector<uint8_t> ok_payload(Value result) {
  Map m;
  m.append("ok", std::move(result));
  return to_msgpack(std::move(m));
}

inline std::vector<uint8_t> error_payload(std::string_view text, int code) {
  return to_msgpack(Map{{"error", text}, {"code", code}});
}

}  // namespace tend::ipc
