// MessagePack and JSON behind Value; nlohmann's codec in one .cpp. Bounded before it is parsed: depth 32, 100,000 items.
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

std::vector<std::uint8_t> to_msgpack(const Value& v);
Result<Value> from_msgpack(std::span<const std::byte> bytes);
// Strict JSON. `indent` < 0: one line. Invalid UTF-8 is replaced, never thrown.
std::string to_json(const Value& v, int indent = -1);
Result<Value> from_json(std::string_view text);  // error: line and column

}  // namespace tend::ipc
