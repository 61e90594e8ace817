#include "core/supervisor/hangs.h"

#include <csignal>

#include "core/supervisor/policy.h"
#include "core/supervisor/supervisor.h"
#include "core/tree/proc_stat.h"

namespace tend::supervisor {
namespace {

// settled 42: the autopsy may not take longer than the verdict did.
constexpr Millis kPatient{1000}, kQuickLimit{150}, kLimit{2000};
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
  const AppSpec& spec = *app.spec;
  if (spec.heartbeat_action == "report") return;
  if (spec.autopsy == "off" || app.main.pid <= 0) return act(app.id, spawn, hang.words);
  const Key key{app.id, spawn};
  const bool quick = spec.heartbeat_interval * spec.heartbeat_misses < kPatient;
  health::Autopsy::Request request;
  request.pid = app.main.pid;
  if (const auto stat = tree::read_stat(app.main.pid)) request.start = stat->start;
  request.mode = hang.inspectable ? spec.autopsy : "kernel";
  request.limit = quick ? kQuickLimit : kLimit;
  autopsies_[key] =
      std::make_unique<health::Autopsy>(supervisor_.parts().loop, "/proc/self/exe", std::move(request),
                                        [this, key, words = hang.words](Value evidence) {
                                          const auto held = std::move(autopsies_[key]);  // it is the caller
                                          autopsies_.erase(key);
                                          examined(key, words, std::move(evidence));
                                        });
}

void Hangs::ended(uint32_t id, uint32_t spawn) { autopsies_.erase({id, spawn}); }

void Hangs::examined(const Key& key, const std::string& words, Value evidence) {
  std::string where;
  if (const List& frames = evidence.at("frames").list(); !frames.empty()) {
    const Value& top = frames.front();
    where = ", in " + top.at("function").text() + " (" + top.at("file").text() + ":" +
            std::to_string(top.at("line").integer()) + ")";
  } else if (!evidence.at("syscall").text().empty()) {
    const std::string& call = evidence.at("syscall").text();
    where = call == "running" ? ", running outside of system calls" : ", in " + call;
    if (evidence.at("state").text().starts_with('T')) where = ", stopped by a signal";
  }
  supervisor_.chronicle().evidence(key.first, key.second, std::move(evidence));
  act(key.first, key.second, words + where);
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
