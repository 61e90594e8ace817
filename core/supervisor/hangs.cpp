#include "core/supervisor/hangs.h"

#include <csignal>

#include "core/supervisor/policy.h"
#include "core/supervisor/supervisor.h"

namespace tend::supervisor {
namespace {

constexpr std::string_view kSignalPrefix = "signal:";

int signal_of(const AppSpec& spec) {
  const std::string_view action = spec.heartbeat_action;
  if (!action.starts_with(kSignalPrefix)) return SIGKILL;
  const int number = signal_number(action.substr(kSignalPrefix.size()));
  return number > 0 ? number : SIGKILL;
}

}  // namespace

Hangs::Hangs(Supervisor& supervisor) : supervisor_(supervisor) {
  subscription_ = supervisor.bus().subscribe([this](const Record& r) { look_at(r); });
}

void Hangs::hung(Instance& app, uint32_t spawn, const Heartbeats::Hang& hang) {
  if (app.spec->heartbeat_action == "report") return;
  act(app.id, spawn, hang.words);
}

void Hangs::act(uint32_t id, uint32_t spawn, const std::string& words) {
  Instance* app = supervisor_.find(id);
  if (app == nullptr || app->state.spawn != spawn) return;
  const Asked asked{"heartbeat: " + words};
  const bool gapless = app->spec->heartbeat_action == "reload" && reloads_without_gap(*app->spec) &&
                       app->state.phase == lifecycle::Phase::online;
  if (!gapless)
    return supervisor_.condemn(*app, spawn, lifecycle::Cause::heartbeat, signal_of(*app->spec), asked);
  replaced_[id] = spawn;
  supervisor_.reload(*app, asked);
}

// The successor serves: the hung one has nothing to finish.
void Hangs::look_at(const Record& r) {
  const auto hung = replaced_.find(r.app.id);
  if (hung == replaced_.end()) return;
  const lifecycle::Other& other = r.app.state.other;
  if (r.event == "reload" && other.spawn == hung->second)
    supervisor_.feed(r.app.id, lifecycle::Condemn{hung->second, lifecycle::Cause::heartbeat, SIGKILL});
  if (other.role != lifecycle::Other::Role::serving) replaced_.erase(hung);
}

}  // namespace tend::supervisor
