#include "ipc/send_queue.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace tend::ipc {
namespace {

constexpr std::size_t kPartsPerWrite = 32;
constexpr int kWritesPerFlush = 64;
constexpr std::size_t kCompactFrom = 1024;  // chunks already written

}  // namespace

const std::byte* SendQueue::Chunk::data() const {
  return slab ? slab->bytes().data() : reinterpret_cast<const std::byte*>(own.data());
}

void SendQueue::push(const FrameHeader& header, std::span<const std::byte> payload) {
  std::array<std::byte, kHeaderSize> head{};
  encode_header(header, payload, head);
  append(head);
  append(payload);
}

void SendQueue::push_large(const FrameHeader& header, std::vector<uint8_t> payload) {
  const auto view = std::as_bytes(std::span(payload));
  if (view.size() <= kSlabSize) return push(header, view);
  std::array<std::byte, kHeaderSize> head{};
  encode_header(header, view, head);
  append(head);
  const std::size_t size = payload.size();
  chunks_.push_back({std::nullopt, std::move(payload), 0, size});
  bytes_ += size;
}

void SendQueue::append(std::span<const std::byte> bytes) {
  bytes_ += bytes.size();
  while (!bytes.empty()) {
    if (chunks_.size() == first_ || !chunks_.back().slab || chunks_.back().end == kSlabSize) {
      chunks_.push_back({pool_.take(), {}, 0, 0});
    }
    Chunk& tail = chunks_.back();
    const std::size_t n = std::min(bytes.size(), kSlabSize - tail.end);
    std::memcpy(tail.slab->bytes().data() + tail.end, bytes.data(), n);
    tail.end += n;
    bytes = bytes.subspan(n);
  }
}

SendQueue::Flush SendQueue::flush(int fd) {
  for (int i = 0; i < kWritesPerFlush && bytes_ > 0; ++i) {
    std::array<iovec, kPartsPerWrite> parts{};
    msghdr message{};
    message.msg_iov = parts.data();
    for (std::size_t c = first_; c < chunks_.size() && message.msg_iovlen < parts.size(); ++c) {
      const Chunk& chunk = chunks_[c];
      parts[message.msg_iovlen++] = {const_cast<std::byte*>(chunk.data() + chunk.begin),
                                     chunk.end - chunk.begin};
    }
    const ssize_t n = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      advance(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      return Flush::blocked;
    } else if (errno != EINTR) {
      return Flush::broken;
    }
  }
  return bytes_ > 0 ? Flush::blocked : Flush::done;
}

void SendQueue::advance(std::size_t n) {
  bytes_ -= n;
  while (n > 0) {
    Chunk& head = chunks_[first_];
    const std::size_t taken = std::min(n, head.end - head.begin);
    head.begin += taken;
    n -= taken;
    if (head.begin < head.end) break;
    head.slab.reset();
    head.own = {};
    ++first_;
  }
  if (bytes_ == 0) {
    clear();
  } else if (first_ >= kCompactFrom) {
    chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

void SendQueue::clear() {
  chunks_.clear();
  first_ = 0;
  bytes_ = 0;
}

}  // namespace tend::ipc
