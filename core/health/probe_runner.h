// The supervisor's end of the probes: they are asked by tend-probe, a process of its own, so that no answer,
// no name server and no command can hold up the daemon.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/health/probe_helper.h"
#include "core/loop/timer.h"

namespace tend::health {

struct ProbeResult {
  enum class Outcome : uint8_t {
    ok,
    failed,
    unknown
  };  // unknown: nobody was asked; it says nothing of the app
  Outcome outcome = Outcome::unknown;
  std::string text;  // as ProbeReply's
  Millis took{0};
};

// Each run() ends in one result, or in a cancel(); never inside the call itself. The helper is started when
// it is needed, ended when nothing was asked for kIdle, and started anew, with a growing delay, when it died.
// REQUIRES: SIGPIPE is ignored or irrelevant (sends never raise it); callbacks do not destroy the runner.
class ProbeRunner {
 public:
  using Done = std::function<void(ProbeResult)>;
  static constexpr Millis kIdle{60000};
  static constexpr Millis kFirstDelay{100}, kMaxDelay{30000};
  static constexpr Millis kGrace{
      5000};  // beyond a probe's own timeout: then the helper itself hangs, and is killed

  ProbeRunner(loop::Loop& loop, Log& log, std::string program, Millis idle = kIdle);
  ~ProbeRunner();
  ProbeRunner(const ProbeRunner&) = delete;
  ProbeRunner& operator=(const ProbeRunner&) = delete;

  // One that is under way by this number is given up first.
  void run(uint32_t number, const ProbeRequest& request, Done done);
  void cancel(uint32_t number);
  std::size_t under_way() const { return flights_.size(); }
  int helper_pid() const { return helper_ ? helper_->pid() : 0; }  // 0: none

 private:
  struct Flight {
    uint64_t sequence;
    Millis limit;  // monotonic: when the helper is taken for hung
    Done done;
  };
  struct Stillborn {  // settled by the next turn of the loop
    uint32_t number;
    uint64_t sequence;
    std::string text;
  };

  std::string send(uint32_t number, uint64_t sequence, const ProbeRequest& request);
  bool start();
  void settle(uint32_t number, uint64_t sequence, ProbeResult result);
  void settle_stillborn();
  void check_limits();
  void helper_ended(ProbeHelper& helper, const std::string& how);
  void lose_helper(const std::string& how);
  void note_rest();

  loop::Loop& loop_;
  Log& log_;
  const std::string program_;
  const Millis idle_;
  SystemClock clock_;
  std::unique_ptr<ProbeHelper> helper_;
  std::vector<std::unique_ptr<ProbeHelper>> leaving_;  // told to end, not reaped yet
  std::unordered_map<uint32_t, Flight> flights_;
  std::vector<Stillborn> stillborn_;
  uint64_t sequence_ = 0;
  Millis started_{0};    // monotonic: the present helper
  Millis retry_at_{0};   // monotonic: no start before
  Millis delay_{0};      // the last delay; 0: none
  Millis limits_at_{0};  // monotonic: when limits_timer_ fires; 0: it does not
  loop::Timer idle_timer_, stillborn_timer_, limits_timer_;
};

}  // namespace tend::health
