#include "ipc/rpc_connection.h"

#include <sys/socket.h>

#include <cstring>

#include "core/base/clock.h"
#include "ipc/rpc_call.h"
#include "ipc/rpc_wire.h"

namespace tend::ipc {
namespace {

constexpr int kReadsPerTurn = 16;
constexpr std::string_view kReasons[] = {
    "", "cut off", "wrong magic", "unknown version", "reserved bytes set", "too long", "wrong checksum"};

}  // namespace

RpcConnection::RpcConnection(const std::shared_ptr<RpcHost>& host, UniqueFd fd, Peer peer)
    : host_(host),
      loop_(host->loop),
      queue_limit_(host->limits.queued),
      fd_(std::move(fd)),
      peer_(peer),
      reader_(host->pool),
      out_(host->pool),
      active_(++host->clock) {}

void RpcConnection::start() {
  poll_ = std::make_unique<loop::Poll>(loop_, fd_.get(), [this](int events) {
    const auto self = shared_from_this();  // whatever is called may drop the connection
    self->on_ready(events);
  });
  poll_->watch(UV_READABLE);
  if (const auto host = host_.lock())
    send(FrameKind::hello, kConnectionStream, hello_payload(host->version, ::getpid()));
}

void RpcConnection::on_ready(int events) {
  if ((events & UV_WRITABLE) != 0) flush();
  if (!closed_ && (events & ~UV_WRITABLE) != 0) read();
}

void RpcConnection::read() {
  const auto host = host_.lock();
  if (!host) return;
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const auto room = reader_.room();
    const ssize_t n = ::recv(fd_.get(), room.data(), room.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n <= 0) return close(n == 0 && !reader_.partial() ? "" : "it went away within a frame");
    reader_.filled(static_cast<std::size_t>(n));
    if (!drain(*host)) return;
    if (static_cast<std::size_t>(n) < room.size()) break;
  }
  // An empty slab goes back to the pool.
  if (!reader_.partial()) drain(*host);
}

bool RpcConnection::drain(RpcHost& host) {
  Frame frame;
  for (;;) {
    const DecodeError e = reader_.next(frame);
    if (e == DecodeError::need_more) break;
    if (e != DecodeError::none) {
      close("a bad frame: " + std::string(kReasons[static_cast<std::size_t>(e)]));
      return false;
    }
    partial_since_ = {};
    handle(host, frame);
    if (closed_) return false;
  }
  if (!reader_.partial()) {
    partial_since_ = {};
  } else if (partial_since_.n == 0) {
    partial_since_ = SystemClock().now();
    host.partial_began();
  }
  return true;
}

void RpcConnection::handle(RpcHost& host, const Frame& frame) {
  active_ = ++host.clock;
  const FrameHeader& h = frame.header;
  if (h.sequence != ++received_) return close("a bad frame: out of sequence");
  if (!greeted_ && h.kind != FrameKind::hello && h.kind != FrameKind::ping)
    return close("no hello came first");
  switch (h.kind) {
    case FrameKind::hello:
      return on_hello(frame);
    case FrameKind::request:
      return on_request(host, frame);
    case FrameKind::cancel:
      return on_cancel(h.stream);
    case FrameKind::credit:
      return on_credit(frame);
    case FrameKind::pong:
      return;
    case FrameKind::ping:
      out_.push({FrameKind::pong, 0, h.stream, 0, ++sent_}, frame.payload);
      overflowed_ = overflowed_ || out_.bytes() > queue_limit_;
      return schedule();
    case FrameKind::reply:
    case FrameKind::item:
      break;
  }
  close("a bad frame: a kind that no caller sends");
}

void RpcConnection::on_hello(const Frame& frame) {
  if (greeted_) return close("a second hello");
  const auto hello = from_msgpack(frame.payload);
  if (!hello) return refuse("hello: " + hello.error().message, EPROTO);
  if (hello->at("protocol").integer() != kRpcProtocol) {
    return refuse("hello: this daemon speaks protocol " + std::to_string(kRpcProtocol), EPROTO);
  }
  greeted_ = true;
}

void RpcConnection::on_request(RpcHost& host, const Frame& frame) {
  const uint32_t stream = frame.header.stream;
  if (stream == kConnectionStream || streams_.count(stream) != 0)
    return close("a request on a stream in use");
  if (streams_.size() >= host.limits.streams) {
    return send(
        FrameKind::reply, stream,
        error_payload("more than " + std::to_string(host.limits.streams) + " requests at once", EAGAIN));
  }
  auto request = from_msgpack(frame.payload);
  if (!request) return send(FrameKind::reply, stream, error_payload(request.error().message, EINVAL));
  const auto* method = request->at("method").as<std::string>();
  if (method == nullptr)
    return send(FrameKind::reply, stream, error_payload("a request without method", EINVAL));
  Value params;
  std::string name = *method;
  for (auto& [key, value] : *request->as<Map>()) {
    if (key == "params") params = std::move(value);
  }
  auto call = std::make_shared<RpcCall>(weak_from_this(), stream, std::move(name), std::move(params), peer_);
  streams_.emplace(stream, call);
  host.request(std::move(call));
}

void RpcConnection::on_cancel(uint32_t stream) {
  const auto it = streams_.find(stream);
  if (it == streams_.end()) return;  // it ended meanwhile
  const auto call = it->second.lock();
  streams_.erase(it);
  if (call) call->cancel();
}

void RpcConnection::on_credit(const Frame& frame) {
  uint32_t n = 0;
  if (frame.payload.size() != sizeof n) return close("a bad frame: credit of a wrong size");
  std::memcpy(&n, frame.payload.data(), sizeof n);
  const auto it = streams_.find(frame.header.stream);
  if (it == streams_.end()) return;
  if (const auto call = it->second.lock()) call->add_credit(n);
}

void RpcConnection::finish(uint32_t stream, std::vector<uint8_t> payload) {
  streams_.erase(stream);
  send(FrameKind::reply, stream, std::move(payload));
}

bool RpcConnection::send_item(uint32_t stream, std::vector<uint8_t> payload) {
  if (closed_ || overflowed_) return false;
  send(FrameKind::item, stream, std::move(payload));
  return !overflowed_;
}

void RpcConnection::send(FrameKind kind, uint32_t stream, std::vector<uint8_t> payload) {
  if (closed_ || overflowed_) return;
  out_.push_large({kind, 0, stream, 0, ++sent_}, std::move(payload));
  overflowed_ = out_.bytes() > queue_limit_;
  schedule();
}

// All that one turn of the loop produced goes out in one write.
void RpcConnection::schedule() {
  if (flush_scheduled_) return;
  flush_scheduled_ = true;
  loop_.defer([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->flush_scheduled_ = false;
    self->flush();
  });
}

void RpcConnection::flush() {
  if (closed_) return;
  if (overflowed_) return close("it does not read: " + std::to_string(out_.bytes()) + " bytes wait for it");
  switch (out_.flush(fd_.get())) {
    case SendQueue::Flush::done:
      return poll_->watch(UV_READABLE);
    case SendQueue::Flush::blocked:
      return poll_->watch(UV_READABLE | UV_WRITABLE);
    case SendQueue::Flush::broken:
      return close("");
  }
}

void RpcConnection::refuse(std::string_view why, int code) {
  if (closed_) return;
  // Into an empty socket buffer it always fits; a peer that filled it does not get to read why.
  out_.push_large({FrameKind::reply, 0, kConnectionStream, 0, ++sent_}, error_payload(why, code));
  out_.flush(fd_.get());
  close(why);
}

void RpcConnection::close(std::string_view why) {
  if (closed_) return;
  closed_ = true;
  const auto host = host_.lock();
  if (host && !why.empty()) {
    host->log.warn("connection of pid " + std::to_string(peer_.pid) + " closed: " + std::string(why));
  }
  poll_.reset();
  fd_.reset();
  out_.clear();
  partial_since_ = {};
  const auto streams = std::exchange(streams_, {});
  if (host) host->closed(*this);
  for (const auto& [id, weak] : streams) {
    if (const auto call = weak.lock()) call->cancel();
  }
}

}  // namespace tend::ipc
