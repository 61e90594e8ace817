// A peer of the RPC server that speaks frames by hand, also wrong ones.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "core/base/unique_fd.h"
#include "ipc/frame_reader.h"
#include "ipc/rpc_wire.h"

namespace tend::ipc::test {

struct Got {
  FrameHeader header;
  Value payload;
};

class RawPeer {
 public:
  explicit RawPeer(const std::string& path, bool greet = true)
      : fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    std::memcpy(a.sun_path, path.data(), path.size());
    REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&a), sizeof a) == 0);
    if (greet) send(FrameKind::hello, 0, hello_payload("raw", 1));
  }
  static std::vector<uint8_t> encode(FrameHeader h, std::span<const uint8_t> payload) {
    std::vector<uint8_t> out(kHeaderSize + payload.size());
    encode_header(h, std::as_bytes(payload),
                  std::span<std::byte, kHeaderSize>(reinterpret_cast<std::byte*>(out.data()), kHeaderSize));
    std::copy(payload.begin(), payload.end(), out.begin() + kHeaderSize);
    return out;
  }
  void raw(std::span<const uint8_t> bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
  }
  void send(FrameKind kind, uint32_t stream, const std::vector<uint8_t>& payload) {
    raw(encode({kind, 0, stream, 0, ++sequence}, payload));
  }
  void request(uint32_t stream, std::string_view method, Value params = {}) {
    send(FrameKind::request, stream, to_msgpack(Map{{"method", method}, {"params", std::move(params)}}));
  }
  void credit(uint32_t stream, uint32_t n) {
    send(FrameKind::credit, stream,
         {static_cast<uint8_t>(n), static_cast<uint8_t>(n >> 8), static_cast<uint8_t>(n >> 16), 0});
  }
  // The next frame; none when the server closed, or nothing came in `ms`.
  std::optional<Got> next(int ms = 20'000) {
    for (;;) {
      Frame f;
      const DecodeError e = reader.next(f);
      if (e == DecodeError::none) {
        auto v = from_msgpack(f.payload, kMaxOwnItems);
        return Got{f.header, v ? std::move(*v) : Value()};
      }
      REQUIRE(e == DecodeError::need_more);
      pollfd p{fd.get(), POLLIN, 0};
      if (::poll(&p, 1, ms) <= 0) return std::nullopt;
      const auto room = reader.room();
      const ssize_t n = ::recv(fd.get(), room.data(), room.size(), 0);
      if (n <= 0) {
        closed = true;
        return std::nullopt;
      }
      reader.filled(static_cast<std::size_t>(n));
    }
  }
  std::optional<Got> next_of(FrameKind kind) {
    for (;;) {
      auto g = next();
      if (!g || g->header.kind == kind) return g;
    }
  }
  // The server closes without answering a request.
  bool sees_close() {
    while (next()) {
    }
    return closed;
  }

  UniqueFd fd;
  BufferPool pool;
  FrameReader reader{pool};
  uint64_t sequence = 0;
  bool closed = false;
};

}  // namespace tend::ipc::test
