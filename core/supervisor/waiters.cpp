#include "core/supervisor/waiters.h"

#include <sys/wait.h>

#include "core/config/config.h"
#include "core/model/api.h"
#include "core/supervisor/policy.h"

namespace tend::supervisor {

using lifecycle::Phase;

std::string why_it_failed(const Instance& app) {
  if (!app.error.empty()) return app.error;
  if (app.state.cause == lifecycle::Cause::not_ready) {
    return "not ready within " + show(app.policy.ready);
  }
  if (app.state.cause == lifecycle::Cause::heartbeat) return app.cause_text;
  if (!app.state.has_exit) return "did not start";
  const int status = app.state.last_status;
  if (WIFSIGNALED(status)) return "was killed by " + signal_name(WTERMSIG(status)) + " before it was online";
  return "exited with code " + std::to_string(WEXITSTATUS(status)) + " before it was online";
}

std::string failure_code(const Instance& app) {
  if (!app.error.empty()) return "exec";
  return app.state.cause == lifecycle::Cause::not_ready ? "not_ready" : "exited";
}

std::string_view status_word(const Instance& app) {
  if (!app.seat && app.state.phase == Phase::online) return api::kStandby;
  return api::kStatusWords[static_cast<std::size_t>(app.state.phase)];
}

Value outcome(const Instance& app, const std::string& action, bool ok, const std::string& error,
              const std::string& code) {
  Map m;
  m.append("id", app.id);
  m.append("name", app.spec->name);
  m.append("action", action);
  m.append("ok", ok);
  m.append("pid", lifecycle::alive(app.state.phase) ? app.main.pid : 0);
  m.append("status", status_word(app));
  if (!error.empty()) m.append("error", error);
  if (!code.empty()) m.append("code", code);
  if (code == "exited" || code == "not_ready")
    m.append("error_log", config::instance_log_path(*app.spec, app.spec->error_file, app.id));
  return m;
}

Waiters::Waiters(EventBus& bus) {
  subscription_ = bus.subscribe([this](const Record& r) { look_at(r.app, r.event == "delete", false); });
}

void Waiters::wait(std::vector<Wish> wishes, const std::function<const Instance*(uint32_t)>& look,
                   Done done) {
  auto group = std::make_shared<Group>();
  group->wishes = std::move(wishes);
  group->outcomes.resize(group->wishes.size());
  group->done = std::move(done);
  for (std::size_t i = 0; i < group->wishes.size(); ++i) {
    const Wish& wish = group->wishes[i];
    const Instance* app = look(wish.id);
    if (app == nullptr || judge(wish, *app, false, false, group->outcomes[i])) continue;
    ++group->open;
    open_.emplace(wish.id, Open{group, i});
  }
  if (group->open == 0) group->done(std::move(group->outcomes));
}

void Waiters::stuck(const Instance& app) { look_at(app, false, true); }

void Waiters::look_at(const Instance& app, bool removed, bool stuck) {
  const auto [first, last] = open_.equal_range(app.id);
  std::vector<std::shared_ptr<Group>> finished;
  for (auto it = first; it != last;) {
    Group& group = *it->second.group;
    Wish& wish = group.wishes[it->second.index];
    wish.begun = true;
    wish.unwanted = wish.unwanted || !app.state.wanted;
    if (!judge(wish, app, removed, stuck, group.outcomes[it->second.index])) {
      ++it;
      continue;
    }
    if (--group.open == 0) finished.push_back(it->second.group);
    it = open_.erase(it);
  }
  for (const auto& group : finished) group->done(std::move(group->outcomes));
}

bool Waiters::judge(const Wish& wish, const Instance& app, bool removed, bool stuck, Value& result) {
  const lifecycle::State& s = app.state;
  if (stuck) {
    result = outcome(app, wish.action, false,
                     "process " + std::to_string(app.main.pid) + " could not be stopped", "stuck");
    return true;
  }
  if (removed) {
    result = outcome(app, wish.action, wish.goal != Goal::running,
                     wish.goal != Goal::running ? "" : "was deleted");
    return true;
  }
  const bool still = !lifecycle::alive(s.phase) && s.phase != Phase::waiting;
  if (wish.goal == Goal::running) return judge_running(wish, app, result);
  if (wish.unwanted && s.wanted && s.phase != Phase::stopping && s.phase != Phase::sweeping) {
    result = outcome(app, wish.action, false, "was started meanwhile");
    return true;
  }
  if (wish.goal == Goal::removed || !still) return false;
  result = outcome(app, wish.action, true);
  return true;
}

bool Waiters::judge_running(const Wish& wish, const Instance& app, Value& result) {
  const lifecycle::State& s = app.state;
  if (s.spawn <= wish.after_spawn) {
    if (s.phase != Phase::stopped || s.wanted || !wish.begun) return false;
    result = outcome(app, wish.action, false, "was stopped meanwhile");
    return true;
  }
  if (s.phase == Phase::online) {
    result = outcome(app, wish.action, true);
    return true;
  }
  if (s.phase == Phase::launching || s.phase == Phase::stopping) return false;
  result = outcome(app, wish.action, false, why_it_failed(app), failure_code(app));
  return true;
}

}  // namespace tend::supervisor
