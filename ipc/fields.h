// Numbers at their place in a frame, little-endian as the machine is (Debian's x86-64 and arm64).
#pragma once

#include <cstddef>
#include <cstring>
#include <span>

namespace tend::ipc {

// REQUIRES: the field lies within the bytes.
template <class T>
void put(std::span<std::byte> out, std::size_t at, T v) {
  std::memcpy(out.data() + at, &v, sizeof v);
}

template <class T>
T get(std::span<const std::byte> in, std::size_t at) {
  T v{};
  std::memcpy(&v, in.data() + at, sizeof v);
  return v;
}

}  // namespace tend::ipc
