#include "core/tree/process_tree.h"

#include <signal.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/loop/poll.h"
#include "core/loop/timer.h"
#include "core/tree/cgroup.h"
#include "core/tree/session.h"
#include "core/tree/walk.h"

namespace tend::tree {
namespace {

constexpr int kMostLooks = 16;
constexpr std::size_t kLargeTree = 16;
constexpr Millis kBlindPause{20};

}  // namespace

struct ProcessTree::Impl {
  using Key = std::pair<uint32_t, uint32_t>;
  struct Watched {
    UniqueFd fd;
    std::unique_ptr<loop::Poll> poll;  // destroyed before the descriptor is closed
  };
  struct Wait {
    Member member;
    bool sweep = false;
    std::function<void()> gone;
    std::vector<Watched> watched;
    std::size_t left = 0;
    std::unique_ptr<loop::Timer> again;  // where there is no /proc
  };

  Impl(loop::Loop& l, Log& log, const std::string& home, std::string home_mark, Lineage lineage)
      : loop(l), logger(log), groups(l, home, lineage), walk(l, lineage, std::move(home_mark)) {}

  loop::Loop& loop;
  Log& logger;
  Cgroups groups;
  Walk walk;
  std::set<Key> outside;  // the main process was seen alive outside its group: both ways are needed
  std::map<Key, std::shared_ptr<Wait>> waits;

  std::vector<ProcStat> find(const Member& m) {
    if (!proc_is_there()) {
      const auto main = session_leader(m.main_pid);
      return main ? std::vector{*main} : std::vector<ProcStat>{};
    }
    if (!groups.exists(m.id, m.spawn)) return walk.find(m);
    std::vector<ProcStat> found;
    bool main_inside = false;
    for (const int pid : groups.pids(m.id, m.spawn)) {
      const auto p = read_stat(pid);
      if (!p || !p->living()) continue;
      main_inside = main_inside || pid == m.main_pid;
      found.push_back(*p);
    }
    // The keeper could not place it there, or it was moved: then the group alone would call a living app
    // gone.
    if (!main_inside && m.main_pid > 1 && !outside.contains({m.id, m.spawn})) {
      if (const auto main = read_stat(m.main_pid); main && main->living()) outside.insert({m.id, m.spawn});
    }
    if (outside.contains({m.id, m.spawn})) {
      for (const ProcStat& p : walk.find(m)) {
        const bool known =
            std::any_of(found.begin(), found.end(), [&](const ProcStat& f) { return f.pid == p.pid; });
        if (!known) found.push_back(p);
      }
    }
    order_deepest_first(found, m.main_pid);
    return found;
  }

  void kill(const Member& m) {
    const bool grouped = groups.exists(m.id, m.spawn);
    if (grouped) {
      find(m);  // tells whether the main process is outside
      groups.kill(m.id, m.spawn);
    }
    if (!grouped || outside.contains({m.id, m.spawn})) kill_found(m);
  }

  // What was signalled forks no more, so another look meets as new only what was forked before its parent was
  // reached. A small tree is not looked at again: of a thousand apps that are killed at once each would cost
  // a walk.
  void kill_found(const Member& m) {
    if (!proc_is_there()) signal_group(m.main_pid, SIGKILL);
    std::set<int> signalled;
    for (int look = 0; look < kMostLooks; ++look) {
      const std::size_t before = signalled.size();
      for (const ProcStat& p : walk.find(m)) {
        if (signalled.insert(p.pid).second) send_signal(p, SIGKILL);
      }
      if (signalled.size() == before || signalled.size() < kLargeTree) return;
      walk.look_anew();
    }
  }

  // One round: wait for the end of each process that a walk finds, then walk again; children that were forked
  // meanwhile are found by the next round. `weak`: release() or the owner's end cancels by dropping the wait.
  void round(const std::weak_ptr<Wait>& weak) {
    const auto wait = weak.lock();
    if (!wait) return;
    wait->watched.clear();
    wait->left = 0;
    bool missed = false;
    if (!proc_is_there()) return blind_round(*wait, weak);
    for (const ProcStat& p : walk.find(wait->member)) {
      if (wait->sweep) send_signal(p, SIGKILL);
      UniqueFd fd = open_pidfd(p);
      if (!fd) {
        missed = true;
        continue;
      }
      const int raw = fd.get();
      const std::size_t index = wait->watched.size();
      auto poll = std::make_unique<loop::Poll>(loop, raw, [this, weak, index](int) { ended(weak, index); });
      poll->watch(UV_READABLE);
      wait->watched.push_back({std::move(fd), std::move(poll)});
      ++wait->left;
    }
    if (wait->left > 0) return;
    if (missed) {  // it ended after the look that found it; the next turn looks anew
      loop.defer([this, weak] { round(weak); });
    } else {
      finish(wait);
    }
  }

  // Of a group without its leader nobody tells when it is empty.
  void blind_round(Wait& wait, const std::weak_ptr<Wait>& weak) {
    if (!signal_group(wait.member.main_pid, wait.sweep ? SIGKILL : 0)) return finish(weak.lock());
    if (!wait.again)
      wait.again =
          std::make_unique<loop::Timer>(loop, [this, weak] { loop.defer([this, weak] { round(weak); }); });
    wait.again->start(kBlindPause);
  }

  void ended(const std::weak_ptr<Wait>& weak, std::size_t index) {
    const auto wait = weak.lock();
    if (!wait) return;
    wait->watched[index].poll->stop();
    if (--wait->left == 0) loop.defer([this, weak] { round(weak); });
  }

  void finish(const std::shared_ptr<Wait>& wait) {
    const auto gone = std::move(wait->gone);
    waits.erase({wait->member.id, wait->member.spawn});
    gone();
  }
};

ProcessTree::ProcessTree(loop::Loop& loop, Log& log, const std::string& home, std::string home_mark,
                         Lineage lineage)
    : impl_(std::make_unique<Impl>(loop, log, home, std::move(home_mark), lineage)) {}
ProcessTree::~ProcessTree() = default;

UniqueFd ProcessTree::make_group(uint32_t id, uint32_t spawn, const GroupLimits& limits) {
  return impl_->groups.make(id, spawn, limits);
}

GroupLimits ProcessTree::missing(uint32_t id, uint32_t spawn, const GroupLimits& limits) const {
  return impl_->groups.missing(id, spawn, limits);
}

void ProcessTree::limit(uint32_t id, uint32_t spawn, const GroupLimits& limits) {
  impl_->groups.limit(id, spawn, limits);
}

std::optional<int64_t> ProcessTree::oom_kills(uint32_t id, uint32_t spawn) const {
  return impl_->groups.oom_kills(id, spawn);
}

std::vector<int> ProcessTree::signal(const Member& m, int signal) {
  std::vector<int> reached;
  if (!proc_is_there()) {
    if (signal_group(m.main_pid, signal)) reached.push_back(m.main_pid);
    return reached;
  }
  for (const ProcStat& p : impl_->find(m)) {
    if (send_signal(p, signal)) reached.push_back(p.pid);
  }
  return reached;
}

void ProcessTree::kill(const Member& m) { impl_->kill(m); }

void ProcessTree::await_empty(const Member& m, bool sweep, std::function<void()> gone) {
  Impl& impl = *impl_;
  const Impl::Key key{m.id, m.spawn};
  auto wait = std::make_shared<Impl::Wait>();
  wait->member = m;
  wait->sweep = sweep;
  wait->gone = std::move(gone);
  impl.groups.forget(m.id, m.spawn);
  impl.waits.insert_or_assign(key, wait);
  const std::weak_ptr<Impl::Wait> weak = wait;
  const auto look = [self = impl_.get(), weak] {
    if (!weak.expired()) self->round(weak);
  };
  if (!impl.groups.exists(m.id, m.spawn)) {
    impl.loop.defer(look);
    return;
  }
  if (sweep) impl.groups.kill(m.id, m.spawn);
  const bool watched = impl.groups.await(m.id, m.spawn, [self = impl_.get(), weak, key] {
    const auto living = weak.lock();
    if (!living) return;
    if (self->outside.contains(key)) {
      self->round(weak);
    } else {
      self->finish(living);
    }
  });
  if (!watched) {
    impl.logger.warn("cannot watch a cgroup: " + std::to_string(m.id) + "." + std::to_string(m.spawn));
    impl.loop.defer(look);
  }
}

void ProcessTree::release(uint32_t id, uint32_t spawn) {
  impl_->groups.forget(id, spawn);
  impl_->waits.erase({id, spawn});
  impl_->outside.erase({id, spawn});
  impl_->groups.remove(id, spawn);
}

std::vector<int> ProcessTree::members(const Member& m) const {
  std::vector<int> pids;
  for (const ProcStat& p : impl_->find(m)) pids.push_back(p.pid);
  return pids;
}

}  // namespace tend::tree
