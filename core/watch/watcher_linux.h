// Tells of changes below folders. One inotify descriptor for all apps (a user may have 128 of them) on the
// loop; trees are walked on the pool. Where inotify cannot be had, does not see or has no more room, times
// and sizes are compared.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/loop/loop.h"
#include "core/loop/poll.h"
#include "core/loop/timer.h"
#include "core/watch/walk_linux.h"

namespace tend::watch {

class Watcher {
 public:
  struct Ready {
    std::size_t folders = 0;
    bool polls = false;
    int error = 0;       // the first reason why a folder is not watched
    std::string failed;  // that folder
  };
  struct Observer {
    std::function<void(const std::string& path)> changed;  // may add and remove
    std::function<void(const Ready&)> ready;               // once the trees were walked
  };

  explicit Watcher(loop::Loop& loop) : loop_(loop) {}
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  uint32_t add(std::shared_ptr<const Scope> scope, Millis interval, Observer observer);
  void remove(uint32_t id);
  std::size_t marks() const { return holders_.size(); }

 private:
  struct Tree {
    std::shared_ptr<const Scope> scope;
    Observer observer;
    Millis interval{1000};
    bool announced = false;
    std::vector<std::string> appeared;  // to be walked
    bool whole = true;                  // all roots are to be walked
    std::unique_ptr<loop::Timer> poll_timer;
    std::shared_ptr<Seen> seen;
  };
  struct Holder {
    uint32_t tree = 0;
    std::string path;
  };
  Tree* find(uint32_t id);
  bool open();
  void walk_soon();
  void walk_next();
  void walked(uint32_t id, bool whole, Walked result);
  void announce(uint32_t id, const Walked& result);
  void look_in_turn(uint32_t id, Tree& tree);
  void poll(uint32_t id);
  void read_events();
  void overflowed();
  void happened(const Holder& holder, uint32_t mask, const std::string& name);
  void let_go(uint32_t id, const std::string& below);
  void drop_mark_if_unheld(int wd);

  loop::Loop& loop_;
  std::shared_ptr<UniqueFd> inotify_;  // jobs hold it too
  std::unique_ptr<loop::Poll> readable_;
  std::map<uint32_t, std::unique_ptr<Tree>> trees_;
  std::unordered_map<int, std::vector<Holder>> holders_;  // by watch descriptor
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool walking_ = false;
  uint32_t next_ = 1;
};

}  // namespace tend::watch
