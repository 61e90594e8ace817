// The open connections, and for how long each has been without a request: who sends a head byte by byte, or
// nothing at all, is sent away, and so is who is idle when the server ends.
#pragma once

#include <atomic>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>

#include "core/base/units.h"

namespace tend::serve {

class Peers {
 public:
  struct Peer {
    int fd = -1;  // borrowed, valid while the peer is here
    std::atomic<bool> busy{false};
    std::atomic<bool> greeted{false};  // it has sent a whole head
    std::atomic<int64_t> since{0};     // when it became idle, ms
    std::list<std::unique_ptr<Peer>>::iterator place;
  };

  Peer* add(int fd, Millis now);
  void remove(Peer* peer);
  static void begins(Peer& peer);
  static void ends(Peer& peer, Millis now);
  std::size_t count() const;
  // Shuts down those that are idle for longer: before their first request, and after one.
  void send_away(Millis now, Millis silent, Millis idle);

 private:
  mutable std::mutex mutex_;
  std::list<std::unique_ptr<Peer>> peers_;
};

}  // namespace tend::serve
