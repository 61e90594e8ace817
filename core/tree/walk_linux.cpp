#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "core/tree/marks.h"
#include "core/tree/walk.h"

namespace tend::tree {

void order_deepest_first(std::vector<ProcStat>& processes, int main_pid) {
  if (processes.size() < 2) return;
  std::unordered_map<int, int> parent;
  for (const auto& p : processes) parent.emplace(p.pid, p.ppid);
  std::unordered_map<int, int> depth;
  for (const auto& p : processes) {
    int levels = 0;
    // Bounded by the list's length: rows read at different instants may form a ring.
    for (auto at = parent.find(p.ppid); at != parent.end() && levels < static_cast<int>(processes.size());
         at = parent.find(at->second)) {
      ++levels;
    }
    depth[p.pid] = p.pid == main_pid ? -1 : levels;
  }
  std::stable_sort(processes.begin(), processes.end(),
                   [&](const ProcStat& a, const ProcStat& b) { return depth[a.pid] > depth[b.pid]; });
}

std::string Walk::tag_of(const ProcStat& process) {
  if (const auto known = known_tags_.find(process.pid);
      known != known_tags_.end() && known->second.first == process.start) {
    return known->second.second;
  }
  char path[40];
  std::snprintf(path, sizeof path, "/proc/%d/environ", process.pid);
  const std::string text = read_small(path);
  // Other daemons' apps may be orphans of the same foster parent.
  if (process.ppid != lineage_.keeper && !has_entry(text, home_mark_)) return {};
  return std::string(tag_in(text));
}

void Walk::tag_children(Snapshot& s, int parent,
                        std::unordered_map<int, std::pair<uint64_t, std::string>>& tags) {
  const auto [first, last] = s.children.equal_range(parent);
  for (auto it = first; it != last; ++it) {
    const ProcStat& p = s.processes.at(it->second);
    std::string tag = tag_of(p);
    if (tag.empty()) continue;
    s.tagged.emplace(tag, p.pid);
    s.tags.emplace(p.pid, tag);
    tags.emplace(p.pid, std::make_pair(p.start, std::move(tag)));
  }
}

bool Walk::is_child(const ProcStat& process) const {
  return process.ppid == lineage_.keeper || (foster_ > 0 && process.ppid == foster_);
}

const Walk::Snapshot& Walk::snapshot() {
  if (cached_) return *cached_;
  cached_ = std::make_shared<Snapshot>();
  // The weak copy doubles as the sign that this object still lives and holds this very snapshot.
  loop_.defer([this, weak = std::weak_ptr<Snapshot>(cached_)] {
    if (!weak.expired()) cached_.reset();
  });
  Snapshot& s = *cached_;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir("/proc"), &::closedir);
  if (!dir) return s;
  while (const dirent* entry = ::readdir(dir.get())) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    const auto p = read_stat(std::atoi(entry->d_name));
    if (!p || p->pid == ::getpid()) continue;
    if (p->pid == lineage_.keeper) {
      if (lineage_.is_successor()) foster_ = p->ppid;  // its own parent has ended too
      continue;
    }
    s.processes.emplace(p->pid, *p);
    s.children.emplace(p->ppid, p->pid);
    s.sessions.emplace(p->session, p->pid);
  }
  decltype(known_tags_) tags;
  tag_children(s, lineage_.keeper, tags);
  if (foster_ > 0) tag_children(s, foster_, tags);
  known_tags_ = std::move(tags);
  return s;
}

std::vector<ProcStat> Walk::find(const Member& m) {
  const Snapshot& s = snapshot();
  const std::string tag = std::to_string(m.id) + "." + std::to_string(m.spawn);
  std::vector<int> reached;
  std::unordered_set<int> seen;
  const auto reach = [&](int pid) {
    if (seen.insert(pid).second) reached.push_back(pid);
  };
  const auto reach_all = [&](const auto& range) {
    for (auto it = range.first; it != range.second; ++it) reach(it->second);
  };
  if (m.main_pid > 1) {
    // Whoever bears the pid now is the main process only if it is the keeper's child with no other app's tag, or a
    // lost keeper's with this one; otherwise the number was reused and its session is not ours either.
    const auto main = s.processes.find(m.main_pid);
    const auto main_tag = s.tags.find(m.main_pid);
    const bool tagged = main_tag != s.tags.end();
    const bool ours = main == s.processes.end() ||
                      (is_child(main->second) &&
                       (tagged ? main_tag->second == tag : main->second.ppid == lineage_.keeper));
    if (ours) {
      if (main != s.processes.end()) reach(m.main_pid);
      reach_all(s.sessions.equal_range(m.main_pid));
    }
  }
  reach_all(s.tagged.equal_range(tag));
  for (std::size_t i = 0; i < reached.size(); ++i) reach_all(s.children.equal_range(reached[i]));

  std::vector<ProcStat> found;
  for (const int pid : reached) {
    const ProcStat& p = s.processes.at(pid);
    if (p.living()) found.push_back(p);
  }
  order_deepest_first(found, m.main_pid);
  return found;
}

}  // namespace tend::tree
