#include "ipc/rpc_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>

#include "core/base/clock.h"
#include "ipc/frame_reader.h"
#include "ipc/rpc_wire.h"
#include "ipc/send_queue.h"
#include "ipc/unix_connect.h"

namespace tend::ipc {
namespace {

constexpr Millis kConnectPatience{5000};
constexpr uint32_t kCreditBatch = kInitialCredit / 2;
constexpr int64_t kLongestPollMs = 60'000;

struct Deadline {
  std::optional<Millis> at;  // none: for ever
  Millis length{};
};

}  // namespace

struct RpcClient::Impl {
  UniqueFd fd;
  BufferPool pool{4};
  FrameReader reader{pool};
  SendQueue out{pool};
  uint64_t sent = 0;
  uint64_t received = 0;
  uint32_t stream = 0;
  bool greeted = false;
  std::string version;
  int64_t pid = 0;

  std::string daemon() const { return "the daemon (pid " + std::to_string(pid) + ")"; }
  tl::unexpected<Error> lost(std::string what, int code) {
    fd.reset();
    return fail(std::move(what), code);
  }
  void send(FrameKind kind, uint32_t on, std::vector<uint8_t> payload) {
    out.push_large({kind, 0, on, 0, ++sent}, std::move(payload));
  }

  Status begin(std::string_view method, const Value& params);
  Status exchange(std::string_view method, const Deadline& deadline);
  Result<Frame> next(std::string_view method, const Deadline& deadline);
  void cancel();
  Result<Value> result_of(const Frame& reply);
  Result<Value> item_of(const Frame& item);

  uint32_t taken = 0;  // items since the last credit
};

Status RpcClient::Impl::begin(std::string_view method, const Value& params) {
  if (!fd) return fail("the connection to " + daemon() + " is closed", ENOTCONN);
  Map request;
  request.append("method", method);
  request.append("params", params);
  auto payload = to_msgpack(std::move(request));
  if (payload.size() > kMaxPayload) {
    return fail("the request '" + std::string(method) + "' is " + std::to_string(payload.size()) +
                    " bytes, more than a frame takes (" + std::to_string(kMaxPayload) + ")",
                EMSGSIZE);
  }
  if (!std::exchange(greeted, true))
    send(FrameKind::hello, kConnectionStream, hello_payload(TEND_VERSION, ::getpid()));
  if (++stream == kConnectionStream) ++stream;
  taken = 0;
  send(FrameKind::request, stream, std::move(payload));
  return {};
}

// Writes what is queued and waits until something was read, both at once: neither side ever waits for the
// other to read.
Status RpcClient::Impl::exchange(std::string_view method, const Deadline& deadline) {
  bool writable = true;
  for (;;) {
    if (writable && out.bytes() > 0 && out.flush(fd.get()) == SendQueue::Flush::broken) {
      out.clear();  // it may have said why before it closed: read on
    }
    int64_t wait = kLongestPollMs;
    if (deadline.at) {
      wait = std::clamp<int64_t>((*deadline.at - SystemClock().now()).n, 0, kLongestPollMs);
    }
    pollfd p{fd.get(), static_cast<short>(POLLIN | (out.bytes() > 0 ? POLLOUT : 0)), 0};
    const int ready = ::poll(&p, 1, static_cast<int>(wait));
    if (ready < 0 && errno != EINTR) return lost(std::string("poll: ") + std::strerror(errno), errno);
    if (ready <= 0) {
      writable = false;
      if (!deadline.at || SystemClock().now() < *deadline.at) continue;
      return fail(
          "no answer to '" + std::string(method) + "' from " + daemon() + " within " + show(deadline.length),
          kDeadlineCode);
    }
    writable = (p.revents & POLLOUT) != 0;
    if ((p.revents & ~POLLOUT) == 0) continue;
    const auto room = reader.room();
    const ssize_t n = ::recv(fd.get(), room.data(), room.size(), MSG_DONTWAIT);
    if (n > 0) {
      reader.filled(static_cast<std::size_t>(n));
      return {};
    }
    // A daemon that closes with our bytes unread resets the connection; what it sent is still read first.
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    return lost(daemon() + " closed the connection before it answered '" + std::string(method) + "'",
                ECONNRESET);
  }
}

// The next frame that is not about the connection itself.
Result<Frame> RpcClient::Impl::next(std::string_view method, const Deadline& deadline) {
  for (;;) {
    Frame frame;
    const DecodeError e = reader.next(frame);
    if (e == DecodeError::need_more) {
      if (auto more = exchange(method, deadline); !more)
        return tl::unexpected<Error>(std::move(more.error()));
      continue;
    }
    if (e != DecodeError::none || frame.header.sequence != ++received) {
      return lost(daemon() + " sent a bad frame", EPROTO);
    }
    if (frame.header.kind == FrameKind::hello) {
      const auto hello = from_msgpack(frame.payload);
      if (!hello) return lost("hello of " + daemon() + ": " + hello.error().message, EPROTO);
      version = hello->at("version").text();
      pid = hello->at("pid").integer(pid);
    } else if (frame.header.kind == FrameKind::ping) {
      out.push({FrameKind::pong, 0, frame.header.stream, 0, ++sent}, frame.payload);
    } else if (frame.header.kind == FrameKind::reply && frame.header.stream == kConnectionStream) {
      auto said = result_of(frame);
      if (said) return lost(daemon() + " answered without being asked", EPROTO);
      return lost(std::move(said.error().message), -said.error().code);
    } else {
      return frame;
    }
  }
}

void RpcClient::Impl::cancel() {
  send(FrameKind::cancel, stream, {});
  out.flush(fd.get());
}

Result<Value> RpcClient::Impl::result_of(const Frame& reply) {
  auto payload = from_msgpack(reply.payload, kMaxOwnItems);
  if (!payload) return tl::unexpected<Error>(std::move(payload.error()));
  if (auto* map = payload->as<Map>()) {
    for (auto& [key, value] : *map) {
      if (key == "ok") return std::move(value);
    }
  }
  const std::string& text = payload->at("error").text();
  return fail(text.empty() ? daemon() + " sent an empty answer" : text,
              -static_cast<int>(std::clamp<int64_t>(payload->at("code").integer(1), 1, 100'000)));
}

// And room for more of them.
Result<Value> RpcClient::Impl::item_of(const Frame& item) {
  auto value = from_msgpack(item.payload, kMaxOwnItems);
  if (!value) return lost(std::move(value.error().message), EPROTO);
  if (++taken == kCreditBatch) {
    const auto bytes = std::as_bytes(std::span(&taken, 1));
    out.push({FrameKind::credit, 0, stream, 0, ++sent}, bytes);
    out.flush(fd.get());
    taken = 0;
  }
  return value;
}

RpcClient::RpcClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RpcClient::RpcClient(RpcClient&&) noexcept = default;
RpcClient& RpcClient::operator=(RpcClient&&) noexcept = default;
RpcClient::~RpcClient() = default;

Result<RpcClient> RpcClient::connect(const std::string& path) {
  auto fd = unix_connect(path, kConnectPatience);
  if (!fd) return tl::unexpected<Error>(std::move(fd.error()));
  auto impl = std::make_unique<Impl>();
  impl->fd = std::move(*fd);
  ucred c{};
  socklen_t size = sizeof c;
  // Who called listen(): right until hello names the one who answers.
  if (::getsockopt(impl->fd.get(), SOL_SOCKET, SO_PEERCRED, &c, &size) == 0) impl->pid = c.pid;
  return RpcClient(std::move(impl));
}

Result<Value> RpcClient::call(std::string_view method, const Value& params, Millis deadline,
                              const std::function<void(const Value&)>& item) {
  const Deadline until{SystemClock().now() + deadline, deadline};
  if (auto begun = impl_->begin(method, params); !begun)
    return tl::unexpected<Error>(std::move(begun.error()));
  for (;;) {
    auto frame = impl_->next(method, until);
    if (!frame) {
      if (impl_->fd) impl_->cancel();
      return tl::unexpected<Error>(std::move(frame.error()));
    }
    const FrameHeader& h = frame->header;
    if (h.stream != impl_->stream) continue;  // of a call given up before
    if (h.kind == FrameKind::reply) return impl_->result_of(*frame);
    if (h.kind != FrameKind::item || !item) continue;
    const auto value = impl_->item_of(*frame);
    if (!value) return value;
    item(*value);
  }
}

Status RpcClient::stream(std::string_view method, const Value& params,
                         const std::function<bool(const Value&)>& item) {
  if (auto begun = impl_->begin(method, params); !begun) return begun;
  for (;;) {
    auto frame = impl_->next(method, {});
    if (!frame) return tl::unexpected<Error>(std::move(frame.error()));
    const FrameHeader& h = frame->header;
    if (h.stream != impl_->stream) continue;  // of a call given up before
    if (h.kind == FrameKind::reply) {
      auto end = impl_->result_of(*frame);
      if (!end) return tl::unexpected<Error>(std::move(end.error()));
      return {};
    }
    if (h.kind != FrameKind::item) continue;
    const auto value = impl_->item_of(*frame);
    if (!value) return tl::unexpected<Error>(value.error());
    if (!item(*value)) {
      impl_->cancel();
      return {};
    }
  }
}

const std::string& RpcClient::daemon_version() const { return impl_->version; }

}  // namespace tend::ipc
