// What belongs to an app when there is no cgroup to ask: ancestry, session, TEND_ID (settled 25).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/loop/loop.h"
#include "core/tree/proc_stat.h"
#include "core/tree/process_tree.h"

namespace tend::tree {

class Walk {
 public:
  Walk(loop::Loop& loop, Lineage lineage, std::string home_mark)
      : loop_(loop), lineage_(lineage), home_mark_(std::move(home_mark)) {}

  // The living processes of the tree, deepest first, the main one last. One look at /proc serves every call
  // of a loop turn, so that stopping thousands at once is not quadratic: what is listed may have ended
  // meanwhile.
  std::vector<ProcStat> find(const Member& m);
  void look_anew() { cached_.reset(); }  // the next find() does not answer from what this turn saw

 private:
  struct Snapshot {
    std::unordered_map<int, ProcStat> processes;
    std::unordered_multimap<int, int> children;        // parent -> child
    std::unordered_multimap<int, int> sessions;        // session -> member
    std::unordered_multimap<std::string, int> tagged;  // TEND_ID -> child of the keeper, or orphan of a lost one
    std::unordered_map<int, std::string> tags;         // the same, by pid
  };
  const Snapshot& snapshot();
  std::string tag_of(const ProcStat& process);
  void tag_children(Snapshot& s, int parent, std::unordered_map<int, std::pair<uint64_t, std::string>>& tags);
  bool is_child(const ProcStat& process) const;

  loop::Loop& loop_;
  Lineage lineage_;
  std::string home_mark_;
  int foster_ = 0;  // whose children the orphans of a lost keeper have become; 0: none was lost
  std::shared_ptr<Snapshot> cached_;
  // By pid and start. Only what was found is kept: between fork and exec a child shows the keeper's
  // environment.
  std::unordered_map<int, std::pair<uint64_t, std::string>> known_tags_;
};

// Deepest first by the ppid chain within the list; `main_pid` last.
void order_deepest_first(std::vector<ProcStat>& processes, int main_pid);

}  // namespace tend::tree
