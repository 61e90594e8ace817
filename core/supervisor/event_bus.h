// The one event stream (observer): the daemon's log, waiting calls, pid files and RPC subscribers all learn
// here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/lifecycle/instance_machine.h"
#include "core/supervisor/instance.h"

namespace tend::supervisor {

// What happened to one instance. `app` is valid during the call only.
struct Record {
  uint64_t number = 0;     // from 1, one more each time
  int64_t wall = 0;        // ms since the epoch
  std::string_view event;  // "start" "stop" "restart" "online" "exit" "errored" …
  const Instance& app;
  lifecycle::Phase from{};
  std::string_view detail;  // why, in words; empty: the event says all
};

// What an app said on its channel. Valid during the call only.
struct Message {
  uint64_t number = 0;  // of the same count
  int64_t wall = 0;
  std::string_view topic;  // the app's own word, or "process:msg" (compat.md 9.1)
  const Instance& app;
  std::string_view key;  // what `body` is called: "data" or "raw"
  const Value& body;
};

class EventBus {
 public:
  using Observer = std::function<void(const Record&)>;
  using Listener = std::function<void(const Message&)>;
  using Subscription = std::shared_ptr<void>;  // ends with its last copy, which may outlive the bus
  // Observers are called in the order of subscription and may not publish; one may end its own subscription.
  Subscription subscribe(Observer observer);
  // Messages are the app's words: no observer of what tend knows may take them for its own.
  Subscription listen(Listener listener);
  void tell(std::string_view topic, const Instance& app, std::string_view key, const Value& body,
            int64_t wall);
  void publish(std::string_view event, const Instance& app, lifecycle::Phase from, int64_t wall,
               std::string_view detail = {});

 private:
  std::vector<std::weak_ptr<Observer>> observers_;
  std::vector<std::weak_ptr<Listener>> listeners_;
  uint64_t last_ = 0;
};

}  // namespace tend::supervisor
