// Apps that are restarted when their files change: what each watches, and what is done about it. The telling
// is core/watch's, the pace core/lifecycle's.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/lifecycle/watch_pace.h"
#include "core/loop/timer.h"
#include "core/supervisor/instance.h"
#include "core/watch/watcher_linux.h"

namespace tend::supervisor {

class Supervisor;

// Whether the spec asks for it.
bool is_watched(const AppSpec& spec);

class Watches {
 public:
  explicit Watches(Supervisor& supervisor);
  ~Watches();
  // Some instance was added, changed or removed: what is watched follows, at the end of this turn.
  void settle();

 private:
  struct Watched;
  void follow();
  void begin(const std::string& group, const std::vector<uint32_t>& ids);
  void ready(const std::string& group, const watch::Watcher::Ready& ready);
  void changed(const std::string& group, const std::string& path);
  void restart(const std::string& group);
  std::vector<Instance*> instances(const Watched& watched) const;

  Supervisor& supervisor_;
  watch::Watcher watcher_;
  std::map<std::string, std::unique_ptr<Watched>> watched_;  // by group
  bool settling_ = false;
};

}  // namespace tend::supervisor
