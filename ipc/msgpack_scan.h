// Judges MessagePack before a recursive parser sees it.
#pragma once

#include <cstddef>
#include <span>

#include "core/base/result.h"

namespace tend::ipc {

// Ok: exactly one complete value, nested at most `max_depth` deep, of at most `max_items` values and keys,
// every length inside `bytes`. Does not recurse, allocates only for an error.
Status scan_msgpack(std::span<const std::byte> bytes, std::size_t max_items, std::size_t max_depth);

}  // namespace tend::ipc
