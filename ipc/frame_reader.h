// Cuts a byte stream into frames. Slabs for what fits one, a growing buffer for a larger frame.
#pragma once

#include <optional>
#include <vector>

#include "ipc/buffer_pool.h"
#include "ipc/frame.h"

namespace tend::ipc {

class FrameReader {
 public:
  explicit FrameReader(BufferPool& pool) : pool_(pool) {}

  // Where the next bytes go; never empty after next() said need_more (or before the first byte). Then
  // filled() with the number that arrived.
  std::span<std::byte> room();
  void filled(std::size_t n);
  // none: `frame` is valid until room() or next() is called.
  DecodeError next(Frame& frame);
  bool partial() const { return end_ > begin_ || big_total_ > 0; }

 private:
  void start_big(std::span<const std::byte> front);
  BufferPool& pool_;
  std::optional<BufferPool::Slab> slab_;  // only while bytes are in it
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::vector<std::byte> big_;
  std::size_t big_filled_ = 0;
  std::size_t big_total_ = 0;  // 0: no large frame under way
};

}  // namespace tend::ipc
