// Probes of the apps: when each is asked, what its answers amount to, and what is done about it. The asking
// is core/health's, the counting core/lifecycle's. One timer for all.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/health/probe_runner.h"
#include "core/lifecycle/probe_verdict.h"
#include "core/loop/timer.h"
#include "core/model/value.h"
#include "core/supervisor/instance.h"

namespace tend::supervisor {

class Supervisor;

// Whether the probe decides when a process is ready.
bool ready_by_probe(const AppSpec& spec);

class Probes {
 public:
  explicit Probes(Supervisor& supervisor);
  ~Probes();
  // A process was handed to the keeper, or found there.
  void joined(const Instance& app, uint32_t spawn);
  void ended(uint32_t id, uint32_t spawn);
  // For listings: {word, text: of the last answer}. Null: no probe, or no answer yet.
  Value view(const Instance& app) const;

 private:
  using Key = std::pair<uint32_t, uint32_t>;  // id, spawn
  struct Probed;
  Probed* find(const Key& key);
  void begin(const Key& key, const Env& env);
  void tick();
  void ask(Probed& p, Millis now);
  void answered(const Key& key, const health::ProbeResult& result);
  void unwell(Instance& app, const Probed& p);
  lifecycle::ProbePolicy policy_of(const Instance& app) const;
  void sleep_until_due();

  Supervisor& supervisor_;
  health::ProbeRunner runner_;
  std::map<Key, std::unique_ptr<Probed>> probed_;
  loop::Timer timer_;
  uint32_t next_number_ = 1;
};

}  // namespace tend::supervisor
