// Calls that wait until instances have reached what was asked, failed, or are gone. An observer of the event
// stream.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/model/value.h"
#include "core/supervisor/event_bus.h"

namespace tend::supervisor {

enum class Goal : uint8_t { running, stopped, removed };

// One instance that somebody waits for.
struct Wish {
  uint32_t id = 0;
  Goal goal = Goal::running;
  uint32_t after_spawn = 0;  // running: only a process with a higher number counts
  bool begun = false;  // an event of the instance was seen since: a stopped one was stopped by somebody else
  std::string action{};  // the word of the outcome: "started", "restarted", "stopped", "deleted"
  bool unwanted = false;  // it was seen that nobody wants it to run: who wants it then has asked later
};

// {id, name, action, ok, pid, status, error?, code?}
Value outcome(const Instance& app, const std::string& action, bool ok, const std::string& error = {},
              const std::string& code = {});

// "online", "stopped" …: one of api.h's words.
std::string_view status_word(const Instance& app);

// Why the last process of an instance was not what was asked for, and the code of it.
std::string why_it_failed(const Instance& app);
std::string failure_code(const Instance& app);

class Waiters {
 public:
  using Done = std::function<void(List outcomes)>;  // in the order of the wishes

  explicit Waiters(EventBus& bus);
  // `done` is called once all wishes ended; at once when there are none. `look` finds an instance now,
  // nullptr if none.
  void wait(std::vector<Wish> wishes, const std::function<const Instance*(uint32_t)>& look, Done done);
  // The instance outlived SIGKILL: whoever waits for it is told.
  void stuck(const Instance& app);

 private:
  struct Group {
    std::vector<Wish> wishes;
    List outcomes;
    std::size_t open = 0;
    Done done;
  };
  struct Open {
    std::shared_ptr<Group> group;
    std::size_t index = 0;
  };
  void look_at(const Instance& app, bool removed, bool stuck);
  static bool judge(const Wish& wish, const Instance& app, bool removed, bool stuck, Value& result);
  static bool judge_running(const Wish& wish, const Instance& app, Value& result);
  std::unordered_multimap<uint32_t, Open> open_;
  EventBus::Subscription subscription_;
};

}  // namespace tend::supervisor
