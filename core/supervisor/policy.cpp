#include "core/supervisor/policy.h"

#include <signal.h>

#include <cstdlib>
#include <cstring>

#include "core/base/text.h"
#include "core/supervisor/probes.h"
#include "core/supervisor/workers.h"

namespace tend::supervisor {

lifecycle::Policy policy_of(const AppSpec& spec, bool canary) {
  lifecycle::Policy p;
  p.autorestart = spec.autorestart && !canary;
  p.treekill = spec.treekill;
  p.wait_ready = spec.wait_ready || ready_by_probe(spec);
  p.await_online = is_worker(spec);
  p.drain = spec.drain_timeout;
  p.ready_timeout_is_online = spec.ready_timeout == "online";
  p.max_restarts = static_cast<uint32_t>(spec.max_restarts);
  p.min_uptime = spec.min_uptime;
  p.restart_delay = spec.restart_delay;
  p.exp_backoff = spec.exp_backoff_restart_delay;
  p.kill = spec.kill_timeout;
  p.ready = spec.listen_timeout;
  const int number = signal_number(spec.kill_signal);
  p.stop_signal = number > 0 ? number : SIGINT;
  for (const int64_t code : spec.stop_exit_codes) {
    if (code >= 0 && static_cast<std::size_t>(code) < p.stop_codes.size())
      p.stop_codes.set(static_cast<std::size_t>(code));
  }
  return p;
}

int signal_number(std::string_view name) {
  if (is_digits(name)) {
    const long n = std::strtol(std::string(name).c_str(), nullptr, 10);
    return n > 0 && n < NSIG ? static_cast<int>(n) : 0;
  }
  if (name.substr(0, 3) == "SIG") name.remove_prefix(3);
  for (int n = 1; n < NSIG; ++n) {
    const char* known = sigabbrev_np(n);
    if (known != nullptr && name == known) return n;
  }
  return 0;
}

std::string signal_name(int number) {
  const char* known = sigabbrev_np(number);
  return known != nullptr ? std::string("SIG") + known : "signal " + std::to_string(number);
}

}  // namespace tend::supervisor
