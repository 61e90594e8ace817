#include "ipc/rpc_server.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <unordered_map>

#include "core/base/clock.h"
#include "core/loop/poll.h"
#include "core/loop/timer.h"
#include "ipc/rpc_connection.h"

namespace tend::ipc {
namespace {

constexpr int kAcceptsPerTurn = 64;
constexpr Millis kAcceptPause{100};

UniqueFd open_spare() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

Peer peer_of(int fd) {
  ucred c{};
  socklen_t size = sizeof c;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &size) != 0) return {static_cast<uid_t>(-1), 0, 0};
  return {c.uid, c.gid, c.pid};
}

}  // namespace

struct RpcServer::Impl final : RpcHost, std::enable_shared_from_this<RpcServer::Impl> {
  Impl(loop::Loop& l, Log& o, UniqueFd fd, RpcLimits m)
      : RpcHost(l, o, m),
        listener(std::move(fd)),
        spare(open_spare()),
        resume(l, [this] { poll->watch(UV_READABLE); }),
        sweeper(l, [this] { sweep(); }) {}

  void request(std::shared_ptr<Call> call) override { handler(std::move(call)); }
  void closed(RpcConnection& c) override {
    connections.erase(&c);
    if (connections.empty() && std::exchange(sweeping, false)) sweeper.stop();  // an idle daemon is not woken
  }
  void partial_began() override {
    if (!std::exchange(sweeping, true)) sweeper.start(limits.partial_frame);
  }

  void accept_some();
  void shed();
  void admit(UniqueFd fd);
  bool make_room();
  void sweep();
  void shut();

  UniqueFd listener;
  UniqueFd spare;  // given up for a moment to accept and drop a caller when no descriptor is left
  std::unique_ptr<loop::Poll> poll;
  loop::Timer resume;
  loop::Timer sweeper;
  bool sweeping = false;
  std::function<void(std::shared_ptr<Call>)> handler;
  std::unordered_map<RpcConnection*, std::shared_ptr<RpcConnection>> connections;
};

void RpcServer::Impl::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn && listener; ++i) {
    UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd) {
      admit(std::move(fd));
    } else if (errno == EMFILE || errno == ENFILE) {
      return shed();
    } else if (errno != EINTR && errno != ECONNABORTED) {
      if (errno == EAGAIN) return;
      // Out of memory and the like: level-triggered readiness would spin.
      poll->stop();
      return resume.start(kAcceptPause);
    }
  }
}

void RpcServer::Impl::shed() {
  log.error("no descriptor is left for a new connection");
  spare.reset();
  UniqueFd dropped(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  dropped.reset();
  spare = open_spare();
  poll->stop();
  resume.start(kAcceptPause);
}

void RpcServer::Impl::admit(UniqueFd fd) {
  const Peer peer = peer_of(fd.get());
  const bool allowed = peer.uid == ::geteuid() || peer.uid == 0;
  const bool room = allowed && make_room();
  const auto connection = std::make_shared<RpcConnection>(shared_from_this(), std::move(fd), peer);
  if (!allowed)
    return connection->refuse("user " + std::to_string(peer.uid) + " may not control this daemon", EPERM);
  if (!room) return connection->refuse("too many connections, all of them busy", EAGAIN);
  connections.emplace(connection.get(), connection);
  connection->start();
}

bool RpcServer::Impl::make_room() {
  if (connections.size() < limits.connections) return true;
  std::shared_ptr<RpcConnection> oldest;
  for (const auto& [raw, c] : connections) {
    if (c->idle() && (!oldest || c->active() < oldest->active())) oldest = c;
  }
  if (oldest) oldest->close("another one needs its place");
  return oldest != nullptr;
}

void RpcServer::Impl::sweep() {
  const auto self = shared_from_this();
  sweeping = false;
  const Millis now = SystemClock().now();
  Millis soonest = limits.partial_frame;
  std::vector<std::shared_ptr<RpcConnection>> late;
  for (const auto& [raw, c] : connections) {
    if (c->partial_since().n == 0) continue;
    const Millis left = c->partial_since() + limits.partial_frame - now;
    if (left.n <= 0) {
      late.push_back(c);
    } else {
      sweeping = true;
      soonest = std::min(soonest, left);
    }
  }
  if (sweeping) sweeper.start(soonest);
  for (const auto& c : late) c->close("its frame did not end within " + show(limits.partial_frame));
}

void RpcServer::Impl::shut() {
  poll.reset();
  listener.reset();
  const auto all = std::exchange(connections, {});
  for (const auto& [raw, c] : all) c->close("");
}

RpcServer::RpcServer(loop::Loop& loop, Log& log, UniqueFd listener, std::string version,
                     std::function<void(std::shared_ptr<Call>)> handler, RpcLimits limits)
    : impl_(std::make_shared<Impl>(loop, log, std::move(listener), limits)) {
  impl_->version = std::move(version);
  impl_->handler = std::move(handler);
  impl_->poll = std::make_unique<loop::Poll>(loop, impl_->listener.get(), [raw = impl_.get()](int) {
    const auto self = raw->shared_from_this();
    self->accept_some();
  });
  impl_->poll->watch(UV_READABLE);
}

RpcServer::~RpcServer() { impl_->shut(); }

void RpcServer::stop_listening() {
  impl_->resume.stop();
  impl_->poll.reset();
  impl_->listener.reset();
}

bool RpcServer::idle() const {
  return std::all_of(impl_->connections.begin(), impl_->connections.end(),
                     [](const auto& c) { return c.second->queued() == 0; });
}

}  // namespace tend::ipc
