// 8 KB slabs that are used again. For one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

namespace tend::ipc {

inline constexpr std::size_t kSlabSize = 8192;

class BufferPool {
 private:
  struct State;
  struct Bytes;

 public:
  // Goes back to its pool when dropped; may outlive the pool.
  class Slab {
   public:
    Slab(Slab&&) noexcept;
    Slab& operator=(Slab&&) noexcept;
    ~Slab();
    std::span<std::byte, kSlabSize> bytes() const;

   private:
    friend class BufferPool;
    Slab(std::shared_ptr<State> state, std::unique_ptr<Bytes> bytes);
    void give_back() noexcept;
    std::shared_ptr<State> state_;
    std::unique_ptr<Bytes> bytes_;
  };

  struct Stats {
    uint64_t allocated = 0;  // slabs that came from the heap
    uint64_t reused = 0;     // slabs that came from the pool
    std::size_t retained = 0;
  };

  explicit BufferPool(std::size_t retain = 64);  // slabs kept for later; what comes back beyond is freed
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  Slab take();
  Stats stats() const;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace tend::ipc
