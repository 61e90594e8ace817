// Reloads of whole apps, a few instances at a time: the next one begins when its predecessor's successor is
// ready, and the first failure ends the rest, whose old processes go on. Requests that come meanwhile are one
// more reload.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/model/value.h"
#include "core/supervisor/event_bus.h"

namespace tend::supervisor {

class Supervisor;

class Rollouts {
 public:
  using Done = std::function<void(List outcomes)>;

  explicit Rollouts(Supervisor& supervisor);
  // Instances of one app. `done` gets an outcome for each, once its old processes are gone.
  void reload(const std::string& group, const std::vector<uint32_t>& ids, std::size_t parallel,
              std::string asked, Done done, lifecycle::Cause cause = lifecycle::Cause::user);

 private:
  struct Roll {
    std::deque<uint32_t> todo;
    std::map<uint32_t, uint32_t> starting;  // the successor is not ready; number of the process before it
    std::set<uint32_t> leaving;             // the old one is not gone
    std::map<uint32_t, Value> outcomes;
    std::size_t parallel = 1;
    std::string asked;
    lifecycle::Cause cause = lifecycle::Cause::user;
    std::vector<Done> waiting;
    bool failed = false;
  };
  struct Line {
    std::unique_ptr<Roll> now, next;
  };
  void look_at(const Record& record);
  bool judge(Roll& roll, const Record& record);
  void go_on(const std::string& group);
  void skip_rest(Roll& roll);

  Supervisor& supervisor_;
  std::map<std::string, Line> lines_;
  EventBus::Subscription subscription_;
};

}  // namespace tend::supervisor
