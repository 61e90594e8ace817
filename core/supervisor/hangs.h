// What is done with a process that is alive but not well: evidence first, then what heartbeat_action says.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/health/autopsy.h"
#include "core/supervisor/event_bus.h"
#include "core/supervisor/heartbeats.h"

namespace tend::supervisor {

class Supervisor;

class Hangs {
 public:
  explicit Hangs(Supervisor& supervisor);
  void hung(Instance& app, uint32_t spawn, const Heartbeats::Hang& hang);
  void ended(uint32_t id, uint32_t spawn);

 private:
  using Key = std::pair<uint32_t, uint32_t>;  // id, spawn
  void examined(const Key& key, const std::string& words, Value evidence);
  void act(uint32_t id, uint32_t spawn, const std::string& words);
  void look_at(const Record& record);

  Supervisor& supervisor_;
  std::map<Key, std::unique_ptr<health::Autopsy>> autopsies_;  // under way
  std::map<uint32_t, uint32_t> replaced_;  // by id: the hung process whose successor is on its way
  EventBus::Subscription subscription_;
};

}  // namespace tend::supervisor
