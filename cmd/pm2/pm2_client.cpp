#include "cmd/pm2/pm2_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "core/base/clock.h"
#include "ipc/msgpack.h"
#include "ipc/unix_connect.h"

namespace tend::pm2 {
namespace {

constexpr Millis kConnect{2'000};
constexpr uint32_t kMostBytes = 128u << 20;  // of one argument: a list of many apps with their environments
constexpr int kVersion = 1;

void add_argument(std::string& frame, std::string_view text) {
  const auto n = static_cast<uint32_t>(text.size());
  for (int shift = 24; shift >= 0; shift -= 8) frame += static_cast<char>(n >> shift & 0xff);
  frame += text;
}

}  // namespace

Result<RealPm2> RealPm2::connect(const std::string& home) {
  auto fd = ipc::unix_connect(home + "/rpc.sock", kConnect);
  if (!fd) return tl::unexpected<Error>(fd.error());
  return RealPm2(std::move(*fd));
}

UniqueFd RealPm2::pidfd() const {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 1) return {};
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0)));
}

Status RealPm2::await(short events, Millis end) {
  pollfd p{fd_.get(), events, 0};
  const int64_t left = std::clamp<int64_t>((end - SystemClock().now()).n, 0, INT_MAX);
  const int n = ::poll(&p, 1, static_cast<int>(left));
  if (n < 0 && errno != EINTR) return fail_errno("poll");
  if (n == 0) return fail("PM2 did not answer in time", ETIMEDOUT);
  return {};
}

Status RealPm2::send(std::string_view bytes, Millis end) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN || errno == EINTR) {
      if (auto ok = await(POLLOUT, end); !ok) return ok;
    } else {
      return fail_errno("ask PM2");
    }
  }
  return {};
}

Status RealPm2::receive(char* into, std::size_t size, Millis end) {
  while (size > 0) {
    const ssize_t n = ::recv(fd_.get(), into, size, 0);
    if (n == 0) return fail("PM2 hung up", ECONNRESET);
    if (n > 0) {
      into += n;
      size -= static_cast<std::size_t>(n);
    } else if (errno == EAGAIN || errno == EINTR) {
      if (auto ok = await(POLLIN, end); !ok) return ok;
    } else {
      return fail_errno("read PM2's answer");
    }
  }
  return {};
}

Result<Value> RealPm2::call(std::string_view method, List arguments, Millis limit) {
  const Millis end = SystemClock().now() + limit;
  const std::string id = "s:tend:" + std::to_string(++calls_);
  std::string frame(1, static_cast<char>(kVersion << 4 | 2));
  add_argument(
      frame, "j:" + ipc::to_json(Map{{"type", "call"}, {"method", method}, {"args", std::move(arguments)}}));
  add_argument(frame, id);
  if (auto ok = send(frame, end); !ok) return tl::unexpected<Error>(ok.error());
  for (;;) {
    char head = 0;
    if (auto ok = receive(&head, 1, end); !ok) return tl::unexpected<Error>(ok.error());
    if ((head >> 4 & 0xf) != kVersion) return fail("PM2 speaks another version of its protocol", EPROTO);
    std::string first, last;
    for (int i = head & 0xf; i > 0; --i) {
      std::array<char, 4> size{};
      if (auto ok = receive(size.data(), size.size(), end); !ok) return tl::unexpected<Error>(ok.error());
      uint32_t n = 0;
      for (const char c : size) n = n << 8 | static_cast<unsigned char>(c);
      if (n > kMostBytes)
        return fail("PM2 answered with " + std::to_string(n) + " bytes; accepted: 128M", EPROTO);
      last.assign(n, '\0');
      if (auto ok = receive(last.data(), n, end); !ok) return tl::unexpected<Error>(ok.error());
      if (first.empty()) first = last;
    }
    if (last != id) continue;  // the answer to a call that was given up
    if (first.rfind("j:", 0) != 0) return fail("PM2's answer is no JSON", EPROTO);
    auto value = ipc::from_json(std::string_view(first).substr(2));
    if (!value) return fail("PM2's answer: " + value.error().message, EPROTO);
    if (const std::string& error = value->at("error").text(); !error.empty()) return fail(error);
    const List& values = value->at("args").list();
    return values.empty() ? Value() : values.front();
  }
}

}  // namespace tend::pm2
