// Those who learn from the event stream without being called by anyone: the daemon's log and the pid files.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "core/base/folder_linux.h"
#include "core/base/log.h"
#include "core/loop/loop.h"
#include "core/supervisor/event_bus.h"

namespace tend::supervisor {

// One line of the daemon's log per event (compat.md 8.4).
EventBus::Subscription log_events(EventBus& bus, Log& log);

// Blocking. pid 0: removes. Errors are nobody's: a pid file is a convenience.
void write_pid_file(const std::string& path, int pid, const FileOwner& owner = {});

// <name>-<id>.pid holds the pid while a process lives. Written and removed on the pool, one after the other.
class PidFiles {
 public:
  PidFiles(loop::Loop& loop, EventBus& bus);

 private:
  struct Job {
    std::string path;
    int pid = 0;
    FileOwner owner;
  };
  void push(const Instance& app, int pid);
  void next();
  loop::Loop& loop_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // a job may end after its owner
  std::deque<Job> jobs_;
  EventBus::Subscription subscription_;
};

}  // namespace tend::supervisor
