#include "ipc/frame_reader.h"

#include <algorithm>
#include <cstring>

namespace tend::ipc {
namespace {

constexpr std::size_t kFirstGrowth = 64u << 10;
constexpr std::size_t kAtLength = 12;

}  // namespace

std::span<std::byte> FrameReader::room() {
  if (big_total_ > 0) {
    // Grows with what arrived: a header alone does not make us set 16 MiB aside.
    if (big_filled_ == big_.size())
      big_.resize(std::min(big_total_, std::max(kFirstGrowth, big_.size() * 2)));
    return std::span(big_).subspan(big_filled_);
  }
  if (!slab_) slab_.emplace(pool_.take());
  const auto bytes = slab_->bytes();
  if (begin_ > 0) {
    std::memmove(bytes.data(), bytes.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return bytes.subspan(end_);
}

void FrameReader::filled(std::size_t n) { (big_total_ > 0 ? big_filled_ : end_) += n; }

DecodeError FrameReader::next(Frame& frame) {
  std::size_t consumed = 0;
  if (big_total_ == 0 && !big_.empty()) big_ = {};  // the frame handed out last
  if (big_total_ > 0) {
    if (big_filled_ < big_total_) return DecodeError::need_more;
    const DecodeError e = decode(big_, frame, consumed);
    big_total_ = 0;
    big_filled_ = 0;
    return e;
  }
  if (begin_ == end_) {
    slab_.reset();
    begin_ = end_ = 0;
    return DecodeError::need_more;
  }
  const auto front = std::span<const std::byte>(slab_->bytes()).subspan(begin_, end_ - begin_);
  const DecodeError e = decode(front, frame, consumed);
  begin_ += consumed;
  if (e == DecodeError::need_more && front.size() >= kHeaderSize) start_big(front);
  return e;
}

void FrameReader::start_big(std::span<const std::byte> front) {
  uint32_t length = 0;
  std::memcpy(&length, front.data() + kAtLength, sizeof length);
  const std::size_t total = kHeaderSize + length;
  if (total <= kSlabSize) return;
  big_total_ = total;
  big_.assign(front.begin(), front.end());
  big_filled_ = big_.size();
  slab_.reset();
  begin_ = end_ = 0;
}

}  // namespace tend::ipc
