#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <cstring>
#include <string>

#include "core/base/unique_fd.h"
#include "ipc/frame_reader.h"
#include "ipc/send_queue.h"

using namespace tend;
using namespace tend::ipc;

namespace {

struct Pair {
  UniqueFd a, b;
  Pair() {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    a.reset(fds[0]);
    b.reset(fds[1]);
  }
};

std::vector<uint8_t> payload_of(std::size_t n, uint8_t seed) {
  std::vector<uint8_t> p(n);
  for (std::size_t i = 0; i < n; ++i) p[i] = static_cast<uint8_t>(i * 31 + seed);
  return p;
}

}  // namespace

TEST_CASE("slabs are used again, and no more than agreed are kept") {
  BufferPool pool(2);
  {
    std::vector<BufferPool::Slab> taken;
    for (int i = 0; i < 5; ++i) taken.push_back(pool.take());
  }
  CHECK(pool.stats().allocated == 5);
  CHECK(pool.stats().retained == 2);
  for (int i = 0; i < 100; ++i) pool.take();
  CHECK(pool.stats().allocated == 5);
  CHECK(pool.stats().reused == 100);
}

TEST_CASE("a slab may outlive its pool") {
  auto pool = std::make_unique<BufferPool>();
  const auto slab = pool->take();
  pool.reset();
  slab.bytes()[kSlabSize - 1] = std::byte{1};
}

TEST_CASE("frames of every size around a slab arrive as they were sent, whatever the pieces") {
  const std::size_t sizes[] = {0, 1, 31, 4096, 8159, 8160, 8161, 8192, 8193, 65535, 65536, 300'000};
  for (const std::size_t piece : {std::size_t{1}, std::size_t{33}, std::size_t{8192}, std::size_t{1} << 20}) {
    BufferPool pool;
    SendQueue out(pool);
    FrameReader in(pool);
    Pair p;
    uint64_t sequence = 0;
    for (const std::size_t n : sizes) {
      if (piece == 1 && n > 10'000) continue;
      ++sequence;
      out.push_large({FrameKind::item, 0, 1, 0, sequence}, payload_of(n, static_cast<uint8_t>(sequence)));
    }
    uint64_t seen = 0;
    while (seen < sequence) {
      REQUIRE(out.flush(p.a.get()) != SendQueue::Flush::broken);
      const auto room = in.room();
      REQUIRE(!room.empty());
      const ssize_t n = ::recv(p.b.get(), room.data(), std::min(piece, room.size()), 0);
      REQUIRE(n > 0);
      in.filled(static_cast<std::size_t>(n));
      Frame f;
      DecodeError e;
      while ((e = in.next(f)) == DecodeError::none) {
        REQUIRE(f.header.sequence == ++seen);
        const auto expected = payload_of(f.payload.size(), static_cast<uint8_t>(seen));
        REQUIRE(f.payload.size() == sizes[seen - 1]);
        CHECK((expected.empty() || std::memcmp(expected.data(), f.payload.data(), expected.size()) == 0));
      }
      REQUIRE(e == DecodeError::need_more);
    }
    CHECK(out.bytes() == 0);
    CHECK_FALSE(in.partial());
  }
}

TEST_CASE("a header that announces 16 MiB makes the reader set little aside") {
  BufferPool pool;
  FrameReader in(pool);
  std::vector<std::byte> head(kHeaderSize);
  const FrameHeader h{FrameKind::request, 0, 1, 0, 1};
  encode_header(h, {}, std::span<std::byte, kHeaderSize>(head.data(), kHeaderSize));
  const uint32_t length = kMaxPayload;
  std::memcpy(head.data() + 12, &length, 4);
  std::memcpy(in.room().data(), head.data(), head.size());
  in.filled(head.size());
  Frame f;
  CHECK(in.next(f) == DecodeError::need_more);
  CHECK(in.room().size() <= 64u << 10);
  CHECK(in.partial());
}

TEST_CASE("small frames in steady state take no new slab") {
  BufferPool pool;
  SendQueue out(pool);
  FrameReader in(pool);
  Pair p;
  uint64_t allocated = 0;
  for (uint64_t i = 1; i <= 1000; ++i) {
    out.push({FrameKind::ping, 0, 1, 0, i}, std::as_bytes(std::span("0123456789")));
    REQUIRE(out.flush(p.a.get()) == SendQueue::Flush::done);
    const auto room = in.room();
    in.filled(static_cast<std::size_t>(::recv(p.b.get(), room.data(), room.size(), 0)));
    Frame f;
    REQUIRE(in.next(f) == DecodeError::none);
    REQUIRE(in.next(f) == DecodeError::need_more);
    if (i == 1) allocated = pool.stats().allocated;
  }
  CHECK(pool.stats().allocated == allocated);
}

TEST_CASE("writing to a closed peer is reported, not signalled") {
  BufferPool pool;
  SendQueue out(pool);
  Pair p;
  p.b.reset();
  out.push({FrameKind::ping, 0, 1, 0, 1}, {});
  CHECK(out.flush(p.a.get()) == SendQueue::Flush::broken);
}
