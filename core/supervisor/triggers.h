// Actions that apps were asked for (compat: "axm:reply" and "axm:scoped_action:…" messages answer them), and
// who waits for the answers.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/units.h"
#include "core/loop/loop.h"
#include "core/loop/timer.h"
#include "core/model/value.h"

namespace tend::supervisor {

class Triggers {
 public:
  struct Asked {
    uint32_t id = 0, spawn = 0;
    std::string name, name_space;
    bool scoped = false;  // it answers in parts, by uuid, until it says that it has ended
  };
  struct Waiting {
    std::string action;
    std::string uuid;
    std::vector<Asked> asked;
    std::function<void(Value item)> said;                     // each answer and each part, as it comes
    std::function<void(List replies, List silent)> answered;  // once
  };
  explicit Triggers(loop::Loop& loop) : loop_(loop) {}

  // `limit`: how long answers are awaited; none: as long as the processes live. A ticket for forget().
  uint64_t wait(Waiting waiting, Millis limit);
  void forget(uint64_t ticket);  // nobody wants the answers any more
  // A message of an app. Who asked first is answered first: an axm:reply does not say for whom it is.
  void heard(uint32_t id, uint32_t spawn, const Value& message);
  void ended(uint32_t id, uint32_t spawn);

 private:
  struct Pending : Waiting {
    uint64_t ticket = 0;
    List replies, silent;
    std::size_t bytes = 0;
    std::unique_ptr<loop::Timer> timer;
  };
  using Place = std::list<std::shared_ptr<Pending>>::iterator;
  void reply(Pending& p, const Asked& who, const Value& data, const char* key);
  bool part(Pending& p, Asked& who, std::string_view kind, const Value& data);
  void settle(const std::shared_ptr<Pending>& p);
  void give_up(uint64_t ticket);
  loop::Loop& loop_;
  std::list<std::shared_ptr<Pending>> pending_;  // the oldest first
  uint64_t next_ = 1;
};

}  // namespace tend::supervisor
