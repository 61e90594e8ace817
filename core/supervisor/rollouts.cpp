#include "core/supervisor/rollouts.h"

#include <algorithm>

#include "core/base/failpoint.h"
#include "core/supervisor/supervisor.h"

namespace tend::supervisor {

using lifecycle::Phase;
using Role = lifecycle::Other::Role;

Rollouts::Rollouts(Supervisor& supervisor) : supervisor_(supervisor) {
  subscription_ = supervisor.bus().subscribe([this](const Record& r) { look_at(r); });
}

void Rollouts::reload(const std::string& group, const std::vector<uint32_t>& ids, std::size_t parallel,
                      std::string asked, Done done, lifecycle::Cause cause) {
  Line& line = lines_[group];
  auto& roll = line.now ? line.next : line.now;
  if (!roll) roll = std::make_unique<Roll>();
  for (const uint32_t id : ids) {
    if (std::find(roll->todo.begin(), roll->todo.end(), id) == roll->todo.end()) roll->todo.push_back(id);
  }
  roll->parallel = std::max<std::size_t>(parallel, 1);
  roll->asked = std::move(asked);
  roll->cause = cause;
  roll->waiting.push_back(std::move(done));
  if (roll == line.now) go_on(group);
}

void Rollouts::look_at(const Record& record) {
  if (lines_.empty()) return;
  const std::string group = group_of(*record.app.spec);
  const auto line = lines_.find(group);
  if (line == lines_.end() || !line->second.now || !judge(*line->second.now, record)) return;
  // Observers may not publish, and what comes next does.
  supervisor_.parts().loop.defer([this, group] { go_on(group); });
}

// True: something changed.
bool Rollouts::judge(Roll& roll, const Record& r) {
  const lifecycle::State& s = r.app.state;
  const uint32_t id = r.app.id;
  if (roll.leaving.count(id) != 0 && s.other.role == Role::none) {
    roll.leaving.erase(id);
    return true;
  }
  const auto starting = roll.starting.find(id);
  if (starting == roll.starting.end()) return false;
  const bool ended = r.event == "delete" || s.phase == Phase::stopped || s.phase == Phase::errored;
  // Other things may be told of the old process before it is asked.
  const bool succeeded = s.phase == Phase::online && s.spawn != starting->second;
  if (r.event != "reload failed" && !ended && !succeeded) return false;
  roll.starting.erase(starting);
  if (r.event == "reload failed" || ended) {
    const bool kept = r.event == "reload failed";
    roll.outcomes[id] =
        outcome(r.app, "reloaded", false, why_it_failed(r.app) + (kept ? "; the old process goes on" : ""),
                failure_code(r.app));
    roll.failed = true;
  } else {
    roll.outcomes[id] = outcome(r.app, "reloaded", true);
  }
  if (s.other.role != Role::none) roll.leaving.insert(id);
  return true;
}

void Rollouts::skip_rest(Roll& roll) {
  for (const uint32_t id : std::exchange(roll.todo, {})) {
    if (const Instance* app = supervisor_.find(id))
      roll.outcomes[id] = outcome(*app, "reloaded", false, "not tried, as another one failed", "skipped");
  }
}

void Rollouts::go_on(const std::string& group) {
  const auto found = lines_.find(group);
  if (found == lines_.end() || !found->second.now) return;
  Roll& roll = *found->second.now;
  if (roll.failed) skip_rest(roll);
  while (!roll.todo.empty() && roll.starting.size() < roll.parallel && roll.leaving.size() <= roll.parallel) {
    const uint32_t id = roll.todo.front();
    Instance* app = supervisor_.find(id);
    if (app != nullptr && app->state.other.role != Role::none) {
      roll.leaving.insert(id);  // a predecessor of this supervisor had begun one, which ends first
      break;
    }
    roll.todo.pop_front();
    if (app == nullptr) continue;
    roll.starting[id] = app->state.spawn;
    failpoint("rollout.before");
    supervisor_.reload(*app, {roll.asked}, roll.cause);
    failpoint("rollout.asked");
  }
  if (!roll.todo.empty() || !roll.starting.empty() || !roll.leaving.empty()) return;
  failpoint("rollout.done");
  const auto ended = std::move(found->second.now);
  if (found->second.next) {
    found->second.now = std::move(found->second.next);
  } else {
    lines_.erase(found);
  }
  List outcomes;
  for (const auto& [id, o] : ended->outcomes) outcomes.push_back(o);
  for (const Done& done : ended->waiting) done(outcomes);
  go_on(group);
}

}  // namespace tend::supervisor
