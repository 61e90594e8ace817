// Restarts that the clock asks for: one timer for an app, whatever number of instances it has.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/lifecycle/zone.h"
#include "core/loop/timer.h"
#include "core/model/cron_pattern.h"
#include "core/supervisor/instance.h"

namespace tend::supervisor {

class Supervisor;

bool has_schedule(const AppSpec& spec);

class Schedules {
 public:
  explicit Schedules(Supervisor& supervisor) : supervisor_(supervisor) {}
  // Some instance was added, changed or removed: the timers follow, at the end of this turn.
  void settle();
  // This process follows another, which may have died before or in the middle of what a tick asks for.
  void take_over() { takes_over_ = true; }

 private:
  struct Job;
  using Key = std::pair<std::string, std::string>;  // group, pattern with its zone
  static Key key_of(const AppSpec& spec);
  std::vector<Instance*> instances(const Key& key) const;
  void follow();
  void begin(const Key& key, const Instance& app);
  void read_zone(const Key& key, const std::string& zone);
  void arm(Job& job, int64_t after);
  void due(const Key& key);
  void start(const Key& key, Job& job);
  void catch_up(const Key& key, const Job& job, int64_t now);
  void restart(const Key& key, std::vector<Instance*> apps);

  Supervisor& supervisor_;
  std::map<Key, std::shared_ptr<Job>> jobs_;
  std::map<std::string, std::shared_ptr<const lifecycle::Zone>> zones_;  // that were read
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool settling_ = false;
  bool takes_over_ = false;
};

}  // namespace tend::supervisor
