// A new version on trial: one instance beside the others, for a part of the connections. It is promoted (the
// others become as it is), taken back, or takes itself back by ending.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/model/value.h"
#include "core/supervisor/event_bus.h"
#include "core/supervisor/waiters.h"

namespace tend::supervisor {

struct Asked;
class Supervisor;

class Canaries {
 public:
  using Done = std::function<void(List outcomes)>;

  explicit Canaries(Supervisor& supervisor);
  // Starts one beside `present`, the instances of one app. env null: theirs. Error: why there can be none.
  Result<Instance*> add(const std::vector<Instance*>& present, std::shared_ptr<const AppSpec> spec,
                        std::shared_ptr<const BaseEnv> env, int64_t percent, const Asked& asked);
  // The app's one; null: there is none.
  Instance* of(const AppSpec& spec) const;
  // The others are replaced by processes with the settings and the environment of `canary`, then it goes.
  // When one of them fails, it stays.
  void promote(Instance& canary, std::size_t parallel, const Asked& asked, Done done);
  // It leaves connections waiting while others accept: no version to be kept.
  void stalled(const Instance& app);
  // It answered a ping: when its event loop lags twice as much as the others', it is no version to be kept.
  void answered(const Instance& app);

 private:
  void fail_trial(uint32_t id, const std::string& why);
  void look_at(const Record& record);
  void remove(uint32_t id, const Asked& asked, List before, Done done);

  Supervisor& supervisor_;
  EventBus::Subscription subscription_;
};

}  // namespace tend::supervisor
