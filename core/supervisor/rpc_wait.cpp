// wait: an answer when every instance that the words mean is as asked. It looks when it is asked and at every
// event after that, on one thread: nothing falls between.
#include <algorithm>
#include <utility>

#include "core/loop/timer.h"
#include "core/model/api.h"
#include "core/supervisor/rpc.h"
#include "core/supervisor/rpc_answer.h"
#include "core/supervisor/spawn_plan.h"

namespace tend::supervisor {
namespace {

constexpr Millis kFirstSigns{100};  // a first pong or probe is no event
constexpr Millis kLongest{7 * 24 * 3600 * 1000LL};

enum class Until : uint8_t { online, ready, healthy, stopped };

bool is_running(const Instance& app) { return app.state.phase == lifecycle::Phase::online; }

class Wait : public std::enable_shared_from_this<Wait> {
 public:
  Wait(Supervisor& supervisor, SharedCall call, std::vector<uint32_t> ids, Until until)
      : supervisor_(supervisor), call_(std::move(call)), ids_(std::move(ids)), until_(until) {}

  void begin(Millis limit) {
    subscription_ = supervisor_.bus().subscribe([self = weak_from_this()](const Record&) {
      if (const auto wait = self.lock()) wait->soon();
    });
    limit_ = std::make_unique<loop::Timer>(supervisor_.parts().loop, [this] { answer(true); });
    limit_->start(limit);
    if (until_ == Until::healthy) {
      signs_ = std::make_unique<loop::Timer>(supervisor_.parts().loop, [this] {
        signs_->start(kFirstSigns);
        look();
      });
      signs_->start(kFirstSigns);
    }
    // The call and its end keep it alive; whoever comes first lets go.
    call_->on_cancel([keep = shared_from_this()]() mutable {
      if (keep) keep->end();
      keep.reset();
    });
    soon();
  }

 private:
  // After the event: what it changes is in place then, and nobody else is told in the middle of it.
  void soon() {
    if (!call_ || std::exchange(due_, true)) return;
    supervisor_.parts().loop.defer([self = shared_from_this()] {
      self->due_ = false;
      self->look();
    });
  }

  bool fulfilled(uint32_t id) const {
    const Instance* app = supervisor_.find(id);
    if (until_ == Until::stopped)
      return app == nullptr || app->state.phase == lifecycle::Phase::stopped ||
             app->state.phase == lifecycle::Phase::errored;
    if (app == nullptr || !is_running(*app)) return false;
    if (until_ == Until::ready && app->spec->wait_ready && app->spec->ready_timeout == "online")
      return app->main.ready;
    if (until_ != Until::healthy) return true;
    const Value row_of = row(supervisor_, *app, Detail::table);
    const std::string& word = row_of.at("health").at("word").text();
    const bool asked = answers_by_preload(*app->spec) || !app->spec->probe.empty();
    return word == "ok" || (word.empty() && !asked);
  }

  bool hopeless(uint32_t id) const {
    if (until_ == Until::stopped) return false;
    const Instance* app = supervisor_.find(id);
    return app == nullptr || app->state.phase == lifecycle::Phase::errored;
  }

  void look() {
    if (!call_) return;
    bool all = true, lost = false;
    for (const uint32_t id : ids_) {
      all = all && fulfilled(id);
      lost = lost || hopeless(id);
    }
    if (all || lost) answer(false);
  }

  void answer(bool late) {
    if (!call_) return;
    const auto keep = shared_from_this();  // a reply ends the call's cancel, which may be all that holds this
    List rows;
    bool ok = true;
    for (const uint32_t id : ids_) {
      const Instance* app = supervisor_.find(id);
      const bool good = fulfilled(id);
      ok = ok && good;
      rows.push_back(app == nullptr
                         ? Value(Map{{"id", id}, {"status", "deleted"}, {"ok", good}})
                         : Value(Map{{"id", id},
                                     {"name", app->spec->name},
                                     {"pid", lifecycle::alive(app->state.phase) ? app->main.pid : 0},
                                     {"status", status_word(*app)},
                                     {"ok", good}}));
    }
    call_->reply(Map{{"apps", std::move(rows)}, {"ok", ok}, {"late", late && !ok}});
    end();
  }

  void end() {
    subscription_.reset();
    if (limit_) limit_->stop();
    if (signs_) signs_->stop();
    // Not here: with the call goes its cancel, with that perhaps this object, and a timer of it is running.
    supervisor_.parts().loop.defer([self = shared_from_this(), call = std::exchange(call_, nullptr)] {});
  }

  Supervisor& supervisor_;
  SharedCall call_;
  const std::vector<uint32_t> ids_;
  const Until until_;
  EventBus::Subscription subscription_;
  std::unique_ptr<loop::Timer> limit_, signs_;
  bool due_ = false;
};

void wait(Daemon& daemon, const SharedCall& call) {
  const std::string& word = call->params().at("for").text();
  const Until until = word == "stopped"   ? Until::stopped
                      : word == "ready"   ? Until::ready
                      : word == "healthy" ? Until::healthy
                                          : Until::online;
  const Picked picked = pick(daemon.supervisor, call->params());
  List missing;
  for (const Value& group : picked.groups)
    if (!group.at("error").is_null()) missing.push_back(group.at("word"));
  if (!missing.empty() && until != Until::stopped)
    return call->reply(Map{{"apps", List{}}, {"ok", false}, {"missing", std::move(missing)}});
  const Millis limit{std::clamp<int64_t>(call->params().at("limit").integer(30'000), 0, kLongest.n)};
  std::make_shared<Wait>(daemon.supervisor, call, picked.ids, until)->begin(limit);
}

constexpr Method kMethods[] = {{api::kWait, wait}};

}  // namespace

std::span<const Method> wait_methods() { return kMethods; }

}  // namespace tend::supervisor
