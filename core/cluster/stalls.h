// Workers that are alive but accept no more: connections pile up at their socket. New ones are steered to the
// others until the pile shrinks. Where one socket serves all (balance shared) there is nothing to steer.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "core/base/log.h"
#include "core/cluster/server_table.h"
#include "core/loop/timer.h"

namespace tend::cluster {

class Stalls {
 public:
  // `stalled` is told of each that begins to be one; it may not change the table.
  using Stalled = std::function<void(const Server& server, uint32_t slot)>;
  Stalls(loop::Loop& loop, ServerTable& table, Log& log, Stalled stalled);
  // Looks from now on, while an app has a choice of sockets; without one no timer runs.
  void watch();

 private:
  struct Pile {
    uint32_t size = 0;   // connections that nobody accepted
    uint32_t looks = 0;  // in a row, in which it did not shrink
  };
  void look();
  bool look_at(Server& server);

  ServerTable& table_;
  Log& log_;
  Stalled stalled_;
  loop::Timer timer_;
  bool looking_ = false;
  std::map<std::pair<uint32_t, uint32_t>, Pile> piles_;  // by server and slot
};

}  // namespace tend::cluster
