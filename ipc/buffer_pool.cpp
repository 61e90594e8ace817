#include "ipc/buffer_pool.h"

#include <array>
#include <vector>

namespace tend::ipc {

struct BufferPool::Bytes {
  std::array<std::byte, kSlabSize> data;
};

struct BufferPool::State {
  std::size_t retain = 0;
  std::vector<std::unique_ptr<Bytes>> free;
  Stats stats;
};

BufferPool::BufferPool(std::size_t retain) : state_(std::make_shared<State>()) {
  state_->retain = retain;
  state_->free.reserve(retain);
}
BufferPool::~BufferPool() {
  state_->retain = 0;
  state_->free.clear();
}

BufferPool::Slab BufferPool::take() {
  if (state_->free.empty()) {
    ++state_->stats.allocated;
    return {state_, std::unique_ptr<Bytes>(new Bytes)};  // not make_unique: that would zero it
  }
  ++state_->stats.reused;
  auto bytes = std::move(state_->free.back());
  state_->free.pop_back();
  return {state_, std::move(bytes)};
}

BufferPool::Stats BufferPool::stats() const {
  Stats s = state_->stats;
  s.retained = state_->free.size();
  return s;
}

BufferPool::Slab::Slab(std::shared_ptr<State> state, std::unique_ptr<Bytes> bytes)
    : state_(std::move(state)), bytes_(std::move(bytes)) {}
BufferPool::Slab::Slab(Slab&&) noexcept = default;
BufferPool::Slab& BufferPool::Slab::operator=(Slab&& other) noexcept {
  if (this != &other) {
    give_back();
    state_ = std::move(other.state_);
    bytes_ = std::move(other.bytes_);
  }
  return *this;
}
BufferPool::Slab::~Slab() { give_back(); }

void BufferPool::Slab::give_back() noexcept {
  if (bytes_ && state_->free.size() < state_->retain) state_->free.push_back(std::move(bytes_));
  bytes_.reset();
}

std::span<std::byte, kSlabSize> BufferPool::Slab::bytes() const { return bytes_->data; }

}  // namespace tend::ipc
