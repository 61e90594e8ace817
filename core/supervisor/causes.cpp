#include "core/supervisor/causes.h"

#include <sys/wait.h>

#include "core/supervisor/policy.h"

namespace tend::supervisor {
namespace {

constexpr std::string_view kCauses[] = {"none",      "user",         "crash",       "exited",
                                        "memory",    "cron",         "watch",       "heartbeat",
                                        "not_ready", "spawn_failed", "keeper_lost", "probe"};

}  // namespace

std::string_view cause_word(lifecycle::Cause cause) { return kCauses[static_cast<std::size_t>(cause)]; }

std::string cause_text(const Instance& app) {
  using lifecycle::Cause;
  const lifecycle::State& s = app.state;
  switch (s.cause) {
    case Cause::none:
    case Cause::user:
    case Cause::memory:
    case Cause::cron:
    case Cause::watch:
    case Cause::heartbeat:
    case Cause::probe:
      return app.cause_text;
    case Cause::crash:
    case Cause::exited:
      if (!s.has_exit) return "exit status unknown (double fork)";
      if (WIFSIGNALED(s.last_status)) {
        return "killed by " + signal_name(WTERMSIG(s.last_status)) +
               (WCOREDUMP(s.last_status) ? ", core dumped" : "");
      }
      return "exited with code " + std::to_string(WEXITSTATUS(s.last_status));
    case Cause::spawn_failed:
      return app.error.empty() ? "could not be executed" : app.error;
    case Cause::not_ready:
      return "not ready within " + show(app.policy.ready);
    case Cause::keeper_lost:
      return "exit status unknown (keeper lost)";
  }
  return {};
}

}  // namespace tend::supervisor
