// Frames that wait to be written: small ones side by side in slabs, large payloads as they came.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ipc/buffer_pool.h"
#include "ipc/frame.h"

namespace tend::ipc {

class SendQueue {
 public:
  enum class Flush : uint8_t { done, blocked, broken };

  explicit SendQueue(BufferPool& pool) : pool_(pool) {}

  void push(const FrameHeader& header, std::span<const std::byte> payload);
  void push_large(const FrameHeader& header, std::vector<uint8_t> payload);  // does not copy beyond a slab
  Flush flush(int fd);  // until the socket is full or, for fairness, a few MiB went out (blocked as well)
  std::size_t bytes() const { return bytes_; }
  void clear();

 private:
  struct Chunk {
    std::optional<BufferPool::Slab> slab;
    std::vector<uint8_t> own;
    std::size_t begin = 0;
    std::size_t end = 0;
    const std::byte* data() const;
  };
  void append(std::span<const std::byte> bytes);
  void advance(std::size_t n);

  BufferPool& pool_;
  std::vector<Chunk> chunks_;  // from first_ on; emptied only as a whole, so that its memory is used again
  std::size_t first_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace tend::ipc
