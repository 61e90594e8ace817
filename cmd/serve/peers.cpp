#include "cmd/serve/peers.h"

#include <sys/socket.h>

namespace tend::serve {

Peers::Peer* Peers::add(int fd, Millis now) {
  auto peer = std::make_unique<Peer>();
  peer->fd = fd;
  peer->since = now.n;
  Peer* const raw = peer.get();
  const std::lock_guard lock(mutex_);
  peers_.push_front(std::move(peer));
  raw->place = peers_.begin();
  return raw;
}

void Peers::remove(Peer* peer) {
  const std::lock_guard lock(mutex_);
  peers_.erase(peer->place);
}

void Peers::begins(Peer& peer) {
  peer.busy.store(true, std::memory_order_relaxed);
  peer.greeted.store(true, std::memory_order_relaxed);
}

void Peers::ends(Peer& peer, Millis now) {
  peer.since.store(now.n, std::memory_order_relaxed);
  peer.busy.store(false, std::memory_order_release);
}

std::size_t Peers::count() const {
  const std::lock_guard lock(mutex_);
  return peers_.size();
}

void Peers::send_away(Millis now, Millis silent, Millis idle) {
  // remove() waits for the lock, so that no number here is another connection's already.
  const std::lock_guard lock(mutex_);
  for (const auto& peer : peers_) {
    if (peer->busy.load(std::memory_order_acquire)) continue;
    const Millis limit = peer->greeted.load(std::memory_order_relaxed) ? idle : silent;
    if (now.n - peer->since.load(std::memory_order_relaxed) >= limit.n) ::shutdown(peer->fd, SHUT_RDWR);
  }
}

}  // namespace tend::serve
