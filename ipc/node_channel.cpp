#include "ipc/node_channel.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <deque>
#include <span>
#include <string>
#include <utility>

#include "core/base/clock.h"
#include "core/loop/poll.h"
#include "core/loop/timer.h"
#include "ipc/fd_passing_linux.h"
#include "ipc/msgpack.h"
#include "ipc/node_lines.h"

namespace tend::ipc {
namespace {

constexpr std::size_t kPeek = 64u << 10;
constexpr int kPeeksPerTurn = 8;
// What one sendmsg writes whole or not at all (protocols.md 1.6).
constexpr std::size_t kAtomicWrite = 32'000;
constexpr std::string_view kHandleLine = "{\"cmd\":\"NODE_HANDLE\",";  // as Node writes it
constexpr std::size_t kMaxQueued = 1u << 20;
// A line without its end is left in the socket this long, looked at every few milliseconds: readiness is
// level-triggered and would spin.
constexpr Millis kPartialLook{10};
constexpr Millis kPartialPatience{100};

// An app's answer to a handle of ours: it sends that whatever it waits for.
bool is_own_ack(std::string_view line) {
  const auto value = from_json(line);
  const std::string cmd = value ? value->at("cmd").text() : "";
  return cmd == "NODE_HANDLE_ACK" || cmd == "NODE_HANDLE_NACK";
}

}  // namespace

struct NodeChannel::Impl : std::enable_shared_from_this<NodeChannel::Impl> {
  Impl(loop::Loop& loop, UniqueFd fd, ChannelDebt left)
      : socket(std::move(fd)), lines(kMaxNodeLine, left.half_line), debt(left) {
    poll = std::make_unique<loop::Poll>(loop, socket.get(), [this](int events) {
      const auto self = shared_from_this();  // a callback may destroy the channel
      if ((events & UV_WRITABLE) != 0) self->flush();
      if ((events & ~UV_WRITABLE) != 0) self->read();
    });
    look = std::make_unique<loop::Timer>(loop, [this] {
      const auto self = shared_from_this();
      self->read();
    });
  }

  void read();
  bool handle_seen(std::string_view seen);  // false: closed, or a line's end has to come first
  bool wait_for_end(std::size_t seen);      // true: gather what there is
  bool consume(std::size_t n);
  bool handle(std::string_view line);  // true: an ACK is owed for it
  void owe(ChannelDebt now);
  void settle();
  bool went_on() const;
  bool fits(std::size_t size) const;  // all of it, now or once the socket is empty enough
  bool send(const Value& v, int fd);
  ssize_t write_some(std::string_view bytes, int fd);
  void flush();
  void watch();
  void end();
  void shut();

  UniqueFd socket;
  std::unique_ptr<loop::Poll> poll;
  std::unique_ptr<loop::Timer> look;
  NodeLines lines;
  ChannelDebt debt;
  std::function<void(const ChannelDebt&)> owes;
  std::function<void(Value)> message;
  std::function<void()> closed;
  struct Line {
    std::string text;
    UniqueFd fd;  // rides on the first byte
    bool ack = false;
  };
  std::deque<Line> out;
  std::size_t out_offset = 0;  // of the first, already written
  std::size_t out_bytes = 0;
  Millis partial_since{};
  bool waiting = false;    // for a line's end, by the timer
  bool ack_waits = false;  // in `out`
  bool unsure = false;     // whether the predecessor's ACK was sent
};

void NodeChannel::Impl::read() {
  waiting = false;
  for (int i = 0; i < kPeeksPerTurn && socket; ++i) {
    std::array<char, kPeek> bytes;  // 64 KiB that nothing fills beforehand
    // Without room for control data the kernel gives out no copies of passed descriptors, neither to a look
    // nor to the read that follows it, and closes them.
    const ssize_t n = ::recv(socket.get(), bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n <= 0) return end();
    if (!handle_seen({bytes.data(), static_cast<std::size_t>(n)})) break;
  }
  if (socket) watch();
}

bool NodeChannel::Impl::handle_seen(std::string_view seen) {
  const std::size_t all = seen.size();
  while (!seen.empty()) {
    const bool has_end = seen.find('\n') != seen.npos;
    if (!has_end && !lines.gathering() && seen.size() < all) return true;  // look again from its beginning
    const bool gather = !has_end && !lines.gathering() && wait_for_end(seen.size());
    const auto step = lines.next(seen, gather);
    if (step.consume == 0) return false;
    partial_since = {};
    if (step.line && unsure && !is_own_ack(*step.line)) unsure = false;  // it went on
    bool ack = step.line && handle(*step.line);
    if (!socket) return false;
    const bool whole = !lines.gathering();
    // The rest of a handle's line whose begin a predecessor consumed.
    if (!step.line && whole && debt.half_line) ack = debt.ack;
    const bool begun = !whole && (debt.half_line ? debt.ack : seen.starts_with(kHandleLine));
    owe({ack || begun, !whole || debt.half_line});
    if (!consume(step.consume)) return false;
    owe({ack || begun, !whole});
    if (ack) settle();
    seen.remove_prefix(step.consume);
  }
  return true;
}

// A look ends at a full buffer, or at a message with descriptors: what is behind it shows only after that is
// read.
bool NodeChannel::Impl::wait_for_end(std::size_t seen) {
  int unread = 0;
  if (seen >= kPeek ||
      (::ioctl(socket.get(), FIONREAD, &unread) == 0 && static_cast<std::size_t>(unread) > seen)) {
    return true;
  }
  const Millis now = SystemClock().now();
  if (partial_since.n == 0) partial_since = now;
  if (now - partial_since >= kPartialPatience) return true;  // the writer may have no room for the rest
  waiting = true;
  look->start(kPartialLook);
  return false;
}

bool NodeChannel::Impl::consume(std::size_t n) {
  std::array<char, kPeek> bytes;
  while (n > 0) {
    const ssize_t got = ::recv(socket.get(), bytes.data(), std::min(n, bytes.size()), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      end();
      return false;
    }
    n -= static_cast<std::size_t>(got);
  }
  return true;
}

void NodeChannel::Impl::owe(ChannelDebt now) {
  now.ack = now.ack || ack_waits || unsure;
  if (debt == now) return;
  debt = now;
  owes(debt);
}

// Paid when it is in the socket, not when it waits for room there.
void NodeChannel::Impl::settle() {
  Line line{to_json(Map{{"cmd", "NODE_HANDLE_ACK"}}) + "\n", {}, false};
  if (out.empty() && write_some(line.text, -1) == static_cast<ssize_t>(line.text.size()))
    return owe({false, debt.half_line});
  line.ack = ack_waits = true;
  out_bytes += line.text.size();
  out.push_back(std::move(line));
  watch();
}

// Whether the app went on since a predecessor died: with a handle that is not ACKed it sends nothing but its
// own ACKs.
bool NodeChannel::Impl::went_on() const {
  std::array<char, kPeek> bytes;
  const ssize_t n = ::recv(socket.get(), bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
  std::string_view seen(bytes.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  while (!seen.empty()) {
    const auto end = seen.find('\n');
    if (!is_own_ack(seen.substr(0, end))) return true;
    if (end == seen.npos) break;
    seen.remove_prefix(end + 1);
  }
  return false;
}

bool NodeChannel::Impl::handle(std::string_view line) {
  auto value = from_json(line);
  if (!value) return false;
  const std::string& cmd = value->at("cmd").text();
  if (cmd == "NODE_HANDLE") {
    // Exactly one answer for each, or the app's later sends wait for ever (protocols.md 1.4).
    const Value* inner = value->map().find("msg");
    if (inner != nullptr) message(*inner);
    return true;
  }
  if (cmd != "NODE_HANDLE_ACK" && cmd != "NODE_HANDLE_NACK") {
    message(std::move(*value));
  }
  return false;
}

// As send(2): -1 and errno.
ssize_t NodeChannel::Impl::write_some(std::string_view bytes, int fd) {
  const std::span<const int> fds(&fd, fd < 0 ? 0 : 1);
  const auto sent = send_with_fds(socket.get(), std::as_bytes(std::span(bytes)), fds);
  if (sent) return static_cast<ssize_t>(*sent);
  errno = sent.error().code;
  return -1;
}

// What is begun is finished by the kernel within the call, as far as there is room: so it waits for room.
bool NodeChannel::Impl::fits(std::size_t size) const {
  if (size <= kAtomicWrite) return true;
  int buffer = 0, used = 0;
  socklen_t n = sizeof buffer;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &buffer, &n) != 0 ||
      ::ioctl(socket.get(), SIOCOUTQ, &used) != 0)
    return true;
  const auto room = static_cast<std::size_t>(std::max(buffer - used, 0));
  return size > static_cast<std::size_t>(buffer) / 2 || size + size / 4 + kAtomicWrite / 8 <= room;
}

bool NodeChannel::Impl::send(const Value& v, int fd) {
  if (!socket) return false;
  Line line{to_json(v) + "\n", {}, false};
  // Before any of it is written: a line that is begun must be ended. One alone may be of any length.
  if (!out.empty() && out_bytes + line.text.size() > kMaxQueued) return false;
  if (out.empty() && fits(line.text.size())) {
    const ssize_t n = write_some(line.text, fd);
    if (n == static_cast<ssize_t>(line.text.size())) return true;
    if (n < 0 && errno != EAGAIN && errno != ETOOMANYREFS) return false;  // the reading side finds the end
    out_offset = n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  if (fd >= 0 && out_offset == 0) {
    line.fd.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!line.fd) return false;
  }
  out_bytes += line.text.size();
  out.push_back(std::move(line));
  watch();
  return true;
}

void NodeChannel::Impl::flush() {
  while (socket && !out.empty()) {
    const std::string_view rest = std::string_view(out.front().text).substr(out_offset);
    if (out_offset == 0 && !fits(rest.size())) break;
    const ssize_t n = write_some(rest, out_offset == 0 ? out.front().fd.get() : -1);
    if (n < 0 && (errno == EAGAIN || errno == ETOOMANYREFS)) break;
    if (n < 0) {
      out.clear();
      out_bytes = out_offset = 0;
      break;
    }
    out_offset += static_cast<std::size_t>(n);
    if (out_offset < out.front().text.size()) continue;
    out_bytes -= out.front().text.size();
    out_offset = 0;
    const bool ack = out.front().ack;
    out.pop_front();
    if (ack) ack_waits = false;
    if (ack) owe({false, debt.half_line});
  }
  if (socket) watch();
}

void NodeChannel::Impl::watch() {
  poll->watch((waiting ? 0 : UV_READABLE) | (out.empty() ? 0 : UV_WRITABLE));
}

void NodeChannel::Impl::end() {
  const auto self = shared_from_this();
  shut();
  if (closed) closed();
}

void NodeChannel::Impl::shut() {
  look.reset();
  poll.reset();
  socket.reset();
}

NodeChannel::NodeChannel(loop::Loop& loop, UniqueFd socket, std::function<void(Value)> message,
                         std::function<void()> closed, ChannelDebt left,
                         std::function<void(const ChannelDebt&)> owes, bool can_ask)
    : impl_(std::make_shared<Impl>(loop, std::move(socket), left)) {
  impl_->message = std::move(message);
  impl_->closed = std::move(closed);
  impl_->owes = std::move(owes);
  // The handle's own line is still there, or the app went on, or it waits for its ACK.
  if (left.ack && !left.half_line) {
    if (impl_->went_on()) {
      impl_->owe({false, false});
    } else if (can_ask) {
      impl_->unsure = true;
    } else {
      impl_->settle();
    }
  }
  impl_->watch();
}

NodeChannel::~NodeChannel() { impl_->shut(); }

bool NodeChannel::unsure() const { return impl_->unsure; }

bool NodeChannel::all_read() const {
  int unread = 0;
  return impl_->socket && ::ioctl(impl_->socket.get(), SIOCOUTQ, &unread) == 0 && unread == 0;
}

void NodeChannel::resolve(bool app_awaits_ack) {
  if (!std::exchange(impl_->unsure, false) || !impl_->socket) return;
  app_awaits_ack ? impl_->settle() : impl_->owe({false, impl_->debt.half_line});
}

bool NodeChannel::send(const Value& message, int fd) { return impl_->send(message, fd); }

}  // namespace tend::ipc
