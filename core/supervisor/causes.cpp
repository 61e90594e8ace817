#include "core/supervisor/causes.h"

#include <sys/wait.h>

#include <cerrno>
#include <cstring>

#include "core/supervisor/policy.h"

namespace tend::supervisor {
namespace {

constexpr std::string_view kCauses[] = {"none",        "user",  "crash",     "exited",    "memory",
                                        "cron",        "watch", "heartbeat", "not_ready", "spawn_failed",
                                        "keeper_lost", "probe", "starved"};

constexpr std::string_view kSteps[] = {"start",
                                       "fork",
                                       "set up a session of",
                                       "join the cgroup of",
                                       "set limits of",
                                       "enter the folder of",
                                       "place descriptors of",
                                       "change the user of",
                                       "execute",
                                       "set oom_score_adj of",
                                       "set cpu_affinity of"};

}  // namespace

bool for_want(int code) { return code == EAGAIN || code == ENOMEM || code == EMFILE || code == ENFILE; }

std::string spawn_error_text(const Instance& app, const keeper::Report& report) {
  const auto step = static_cast<std::size_t>(report.b);
  const int code = static_cast<int>(report.a);
  const bool folder = report.b == static_cast<int64_t>(keeper::Step::directory);
  return "cannot " + std::string(kSteps[step < std::size(kSteps) ? step : 0]) + " " +
         (folder                            ? app.spec->cwd
          : app.spec->interpreter == "none" ? app.spec->script
                                            : app.spec->interpreter) +
         ": " + std::strerror(code) + (for_want(code) ? "; tried again until there is room" : "");
}

std::string_view cause_word(lifecycle::Cause cause) { return kCauses[static_cast<std::size_t>(cause)]; }

std::string Instance::*kept_text(lifecycle::Cause cause) {
  using lifecycle::Cause;
  switch (cause) {
    case Cause::crash:
    case Cause::exited:
      return &Instance::killer;
    case Cause::spawn_failed:
    case Cause::starved:
      return &Instance::error;
    default:
      return &Instance::cause_text;
  }
}

std::string end_text(int status) {
  if (!WIFSIGNALED(status)) return "exited with code " + std::to_string(WEXITSTATUS(status));
  return "killed by " + signal_name(WTERMSIG(status)) + (WCOREDUMP(status) ? ", core dumped" : "");
}

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
      return end_text(s.last_status) +
             (WIFSIGNALED(s.last_status) && !app.killer.empty() ? ", " + app.killer : "");
    case Cause::spawn_failed:
    case Cause::starved:
      return app.error.empty() ? "could not be executed" : app.error;
    case Cause::not_ready:
      return "not ready within " + show(app.policy.ready);
    case Cause::keeper_lost:
      return "exit status unknown (keeper lost)";
  }
  return {};
}

}  // namespace tend::supervisor
