// Accept and pass (balance rr and least): a connection is taken here and handed to a worker as `newconn`
// (protocols.md 2.6). Our copy stays until the worker says that it took it, so one that refuses or dies first
// costs nothing. What is accepted and not yet passed is lost with this process (settled 37).
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "core/base/unique_fd.h"
#include "core/cluster/primary.h"
#include "core/loop/poll.h"

namespace tend::cluster {

class Handoff {
 public:
  Handoff(loop::Loop& loop, Primary& primary) : loop_(loop), primary_(primary) {}

  void watch(const Server& server);  // accepts while a worker does
  void forget(uint32_t server);
  void answered(int64_t seq, bool accepted);
  void lost(const Worker& worker);

 private:
  struct Pending {
    UniqueFd fd;
    uint32_t server = 0;
    Worker worker;
    uint32_t tries = 0;
  };
  void accept_some(uint32_t server);
  void pass(Pending pending);
  const Worker* choose(const Server& server);

  loop::Loop& loop_;
  Primary& primary_;
  std::map<uint32_t, std::unique_ptr<loop::Poll>> polls_;
  std::map<int64_t, Pending> pending_;
  uint64_t passed_ = 0;              // connections since the beginning
  std::map<uint32_t, Worker> last_;  // by server: whose turn it was
};

}  // namespace tend::cluster
