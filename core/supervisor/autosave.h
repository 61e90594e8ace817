// The saved list kept as the list is: written a moment after the last change, on the pool, while it is
// switched on.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/base/log.h"
#include "core/loop/timer.h"
#include "core/model/home.h"
#include "core/supervisor/event_bus.h"

namespace tend::supervisor {

class Supervisor;

class Autosave {
 public:
  Autosave(loop::Loop& loop, Log& log, const Home& home, Supervisor& supervisor);
  Autosave(const Autosave&) = delete;
  Autosave& operator=(const Autosave&) = delete;

  bool on() const { return on_; }
  // Remembered in the home; `done` is called on the loop. Blocks nobody.
  void set(bool on, std::function<void(Status)> done);
  void changed();  // what is wanted has changed
  // Apps that go from now on are not deleted, but stopped with the daemon. `done` is called when the last
  // change is written; at once when there is none.
  void end(std::function<void()> done);
  // What is in the saved list and was neither here nor deleted since this daemon began: a machine that has
  // booted and was not told to resurrect does not forget it.
  List with_absent(List present) const;

 private:
  void write();
  void learn();

  loop::Loop& loop_;
  Log& log_;
  Home home_;
  Supervisor& supervisor_;
  loop::Timer timer_;
  std::map<std::string, List> absent_;  // by name
  EventBus::Subscription subscription_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool on_ = false, writing_ = false, again_ = false, due_ = false, ended_ = false;
};

}  // namespace tend::supervisor
