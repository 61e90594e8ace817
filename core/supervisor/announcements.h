// Hears what processes announce (announced.h) and keeps it where it outlives this process: in a memfd that
// the keeper holds as "said/<id>.<spawn>". Not in the journal: metrics change every second, and all of it
// ends with the process. What is new is there before the app's line is consumed (64 times a second, then
// within 100 ms); a value that changed within 10 s: who sends values sends them again.
#pragma once

#include <functional>
#include <map>
#include <utility>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/unique_fd.h"
#include "core/keeper/client.h"
#include "core/loop/timer.h"
#include "core/supervisor/instance.h"

namespace tend::supervisor {

class Announcements {
 public:
  using Find = std::function<Instance*(uint32_t id)>;
  Announcements(loop::Loop& loop, const Clock& clock, Log& log, keeper::Client& keeper, Find find);

  // True: the message was an announcement, and no word for anybody else.
  bool take(Instance& app, uint32_t spawn, const Value& message);
  // What a predecessor kept.
  void give_back(Instance& app, uint32_t spawn, UniqueFd kept);
  void ended(uint32_t id, uint32_t spawn);

 private:
  using Key = std::pair<uint32_t, uint32_t>;
  struct Keeping {
    Millis due{-1};     // monotonic; -1: nothing is to be kept
    Millis second{-1};  // when the present second began, and how often it was kept in it
    int times = 0;
  };
  void keep_new(const Key& key);
  void keep_soon(const Key& key, Millis delay);
  void keep_due();
  void keep(const Key& key);
  const Clock& clock_;
  Log& log_;
  keeper::Client& keeper_;
  Find find_;
  std::map<Key, Keeping> keeping_;
  Millis wakes_{-1};  // when the timer fires
  loop::Timer timer_;
};

}  // namespace tend::supervisor
