// MessagePack and JSON behind Value; nlohmann's codec in one .cpp. Bounded before it is parsed: depth 32,
// 100,000 items.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/model/value.h"

namespace tend::ipc {

inline constexpr std::size_t kMaxDepth = 32;             // of MessagePack
inline constexpr std::size_t kMaxItems = 100'000;        // values and keys in one message from a stranger
inline constexpr std::size_t kMaxOwnItems = 10'000'000;  // in an answer of the user's own daemon
inline constexpr std::size_t kMaxJsonDepth = 512;

// What is nested deeper than kMaxDepth becomes null, so that a reader takes whatever was written. Strings go
// as they are.
std::vector<std::uint8_t> to_msgpack(const Value& v);
Result<Value> from_msgpack(std::span<const std::byte> bytes, std::size_t max_items = kMaxItems);
// Strict JSON. `indent` < 0: one line. Invalid UTF-8 is replaced, never thrown.
std::string to_json(const Value& v, int indent = -1);
Result<Value> from_json(std::string_view text);  // error: line and column

}  // namespace tend::ipc
