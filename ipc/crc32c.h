// The two ways to compute CRC32C behind ipc::crc32c (frame.h), visible so that tests hold them against each
// other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tend::ipc {

uint32_t crc32c_table(std::span<const std::byte> bytes, uint32_t seed = 0);
// The same by the processor's instruction. REQUIRES: crc32c_has_instruction().
uint32_t crc32c_instruction(std::span<const std::byte> bytes, uint32_t seed = 0);
bool crc32c_has_instruction();

}  // namespace tend::ipc
