#include "core/watch/watcher_linux.h"

#include <sys/inotify.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "core/base/clock.h"
#include "core/loop/work.h"

namespace tend::watch {
namespace {

constexpr std::size_t kMaxAppeared = 1000;  // more new folders than this: all is walked
constexpr int kReadsInARow = 16;            // then other descriptors have their turn
constexpr int64_t kRestPerLook = 10;        // a look at many files pauses for so many times what it took
constexpr std::string_view kTooMany = "more changes at once than the kernel counts";

// No more folders can be watched, whichever they are.
bool is_limit(int error) { return error == ENOSPC || error == ENOMEM; }

}  // namespace

Watcher::Tree* Watcher::find(uint32_t id) {
  const auto it = trees_.find(id);
  return it == trees_.end() ? nullptr : it->second.get();
}

bool Watcher::open() {
  if (inotify_) return true;
  UniqueFd fd(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!fd) return false;
  inotify_ = std::make_shared<UniqueFd>(std::move(fd));
  readable_ = std::make_unique<loop::Poll>(loop_, inotify_->get(), [this](int) { read_events(); });
  return true;
}

uint32_t Watcher::add(std::shared_ptr<const Scope> scope, Millis interval, Observer observer) {
  const uint32_t id = next_++;
  auto tree = std::make_unique<Tree>();
  tree->scope = std::move(scope);
  tree->observer = std::move(observer);
  tree->interval = interval;
  const bool polls = tree->scope->poll || !open();
  const int error = tree->scope->poll ? 0 : errno;
  if (polls) tree->whole = false;
  trees_[id] = std::move(tree);
  if (!polls) {
    walk_soon();
    return id;
  }
  loop_.defer([this, id, error, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired() && find(id) != nullptr) {
      Walked none;
      none.error = inotify_ ? 0 : error;
      none.blind = true;
      announce(id, none);
    }
  });
  return id;
}

void Watcher::remove(uint32_t id) {
  if (trees_.erase(id) == 0) return;
  let_go(id, "");
  if (!trees_.empty()) return;
  readable_.reset();
  inotify_.reset();
  holders_.clear();
}

void Watcher::let_go(uint32_t id, const std::string& below) {
  std::vector<int> touched;
  for (auto& [wd, holders] : holders_) {
    if (std::erase_if(holders, [&](const Holder& h) {
          return h.tree == id && (below.empty() || is_below(h.path, below));
        }) > 0)
      touched.push_back(wd);
  }
  for (const int wd : touched) drop_mark_if_unheld(wd);
}

void Watcher::drop_mark_if_unheld(int wd) {
  const auto it = holders_.find(wd);
  if (it != holders_.end() && !it->second.empty()) return;
  if (it != holders_.end()) holders_.erase(it);
  if (inotify_) inotify_rm_watch(inotify_->get(), wd);
}

// One walk at a time. Meanwhile events wait in the kernel's queue: what they tell of may not be known yet.
void Watcher::walk_soon() {
  if (walking_) return;
  walking_ = true;
  if (readable_) readable_->stop();
  loop_.defer([this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) walk_next();
  });
}

void Watcher::walk_next() {
  const auto due = std::find_if(trees_.begin(), trees_.end(),
                                [](const auto& t) { return t.second->whole || !t.second->appeared.empty(); });
  if (due == trees_.end() || !inotify_) {
    walking_ = false;
    if (readable_) readable_->watch(UV_READABLE);
    return;
  }
  const uint32_t id = due->first;
  Tree& tree = *due->second;
  const bool whole = std::exchange(tree.whole, false);
  auto from = std::exchange(tree.appeared, {});
  if (whole) {
    from.clear();
    for (const Root& root : tree.scope->roots) from.push_back(root.path);
  }
  auto result = std::make_shared<Walked>();
  loop::work(
      loop_, [result, fd = inotify_, scope = tree.scope, from] { *result = walk(fd->get(), *scope, from); },
      [this, result, id, whole, fd = inotify_, alive = std::weak_ptr<bool>(alive_)] {
        if (alive.expired()) return;
        if (fd == inotify_) walked(id, whole, std::move(*result));
        walk_next();
      });
}

void Watcher::walked(uint32_t id, bool whole, Walked result) {
  Tree* tree = find(id);
  std::set<int> present;
  for (Mark& mark : result.marks) {
    present.insert(mark.wd);
    auto& holders = holders_[mark.wd];
    const auto same =
        std::find_if(holders.begin(), holders.end(), [&](const Holder& h) { return h.tree == id; });
    if (tree == nullptr) continue;
    if (same != holders.end())
      same->path = std::move(mark.path);
    else
      holders.push_back({id, std::move(mark.path)});
    holders.shrink_to_fit();
  }
  std::vector<int> gone;
  for (auto& [wd, holders] : holders_) {
    if (whole && present.count(wd) == 0)
      std::erase_if(holders, [id](const Holder& h) { return h.tree == id; });
    if (holders.empty()) gone.push_back(wd);
  }
  for (const int wd : gone) drop_mark_if_unheld(wd);
  if (tree != nullptr) announce(id, result);
}

void Watcher::announce(uint32_t id, const Walked& result) {
  Tree* tree = find(id);
  if (tree->announced && result.error == 0) return;
  const bool first = !std::exchange(tree->announced, true);
  const bool polls = (first && result.blind) || is_limit(result.error);
  if (polls) look_in_turn(id, *tree);
  const auto ready = tree->observer.ready;  // it may remove the tree
  ready({result.folders, polls, result.error, result.failed});
}

// What it was told of some folders would be seen twice, and others may have use for the marks.
void Watcher::look_in_turn(uint32_t id, Tree& tree) {
  if (tree.poll_timer) return;
  tree.whole = false;
  tree.appeared.clear();
  let_go(id, "");
  tree.poll_timer = std::make_unique<loop::Timer>(loop_, [this, id] { poll(id); });
  poll(id);
}

void Watcher::poll(uint32_t id) {
  const Tree* tree = find(id);
  auto seen = std::make_shared<Seen>();
  auto path = std::make_shared<std::string>();
  auto took = std::make_shared<Millis>();
  loop::work(
      loop_,
      [scope = tree->scope, before = tree->seen, seen, path, took] {
        const SystemClock clock;
        const Millis began = clock.now();
        *seen = look(*scope);
        *took = clock.now() - began;
        if (before) *path = first_difference(*before, *seen);
      },
      [this, id, seen, path, took, alive = std::weak_ptr<bool>(alive_)] {
        if (alive.expired()) return;
        Tree* now = find(id);
        if (now == nullptr) return;
        now->seen = seen;
        now->poll_timer->start(std::max(now->interval, Millis{took->n * kRestPerLook}));
        if (path->empty()) return;
        const auto changed = now->observer.changed;  // it may remove the tree
        changed(*path);
      });
}

void Watcher::read_events() {
  alignas(inotify_event) char buffer[16384];
  for (int i = 0; i < kReadsInARow && inotify_; ++i) {
    const ssize_t n = ::read(inotify_->get(), buffer, sizeof buffer);
    if (n <= 0) return;
    for (const char* at = buffer; at < buffer + n && inotify_;) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      at += sizeof(inotify_event) + event->len;
      if ((event->mask & IN_Q_OVERFLOW) != 0) {
        overflowed();
        continue;
      }
      const auto found = holders_.find(event->wd);
      if (found == holders_.end()) continue;
      if ((event->mask & IN_IGNORED) != 0) {
        holders_.erase(found);
        continue;
      }
      const std::string name(event->name, event->len == 0 ? 0 : ::strnlen(event->name, event->len));
      const std::vector<Holder> holders = found->second;
      for (const Holder& holder : holders) happened(holder, event->mask, name);
    }
  }
}

void Watcher::overflowed() {
  std::vector<uint32_t> ids;
  for (const auto& [id, tree] : trees_) {
    if (!tree->poll_timer) ids.push_back(id);
  }
  for (const uint32_t id : ids) {
    Tree* tree = find(id);
    if (tree == nullptr) continue;
    tree->whole = true;
    const auto changed = tree->observer.changed;
    changed(std::string(kTooMany));
  }
  walk_soon();
}

void Watcher::happened(const Holder& holder, uint32_t mask, const std::string& name) {
  Tree* tree = find(holder.tree);
  if (tree == nullptr || tree->poll_timer) return;
  const bool folder = (mask & IN_ISDIR) != 0;
  const bool came = (mask & (IN_CREATE | IN_MOVED_TO)) != 0;
  const bool self = (mask & (IN_DELETE_SELF | IN_MOVE_SELF)) != 0;
  const std::string path = name.empty() ? holder.path : (holder.path == "/" ? "" : holder.path) + "/" + name;
  // The folder of a root, or the root itself: what is watched must be found anew.
  if ((self || folder || came) && tree->scope->leads_to_root(path)) {
    tree->whole = true;
    walk_soon();
  }
  // Folders are told of by the folder that holds them.
  if (self && !tree->scope->leads_to_root(path)) return;
  if (!tree->scope->takes(path, folder || self)) return;
  const bool may_be_link = !folder && (mask & IN_CREATE) != 0 && tree->scope->follow_links;
  if ((folder && came) || may_be_link) {
    if (tree->appeared.size() >= kMaxAppeared) tree->whole = true;
    if (!tree->whole) tree->appeared.push_back(path);
    walk_soon();
  }
  const auto changed = tree->observer.changed;
  if (folder && (mask & IN_MOVED_FROM) != 0) let_go(holder.tree, path);
  changed(path);
}

}  // namespace tend::watch
