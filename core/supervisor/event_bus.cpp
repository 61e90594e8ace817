#include "core/supervisor/event_bus.h"

namespace tend::supervisor {

EventBus::Subscription EventBus::subscribe(Observer observer) {
  observers_.push_back(std::move(observer));
  Subscription s;
  s.bus_ = this;
  s.at_ = std::prev(observers_.end());
  return s;
}

void EventBus::tell(std::string_view topic, const Instance& app, std::string_view key, const Value& body,
                    int64_t wall) {
  const Message message{++last_, wall, topic, app, key, body};
  std::erase_if(listeners_, [](const auto& weak) { return weak.expired(); });
  for (const auto& weak : std::vector(listeners_)) {
    if (const auto listener = weak.lock()) (*listener)(message);
  }
}

void EventBus::publish(std::string_view event, const Instance& app, lifecycle::Phase from, int64_t wall) {
  const Record record{++last_, wall, event, app, from};
  for (auto it = observers_.begin(); it != observers_.end();) {
    if (!*it) {
      it = observers_.erase(it);
      continue;
    }
    const Observer call = *it;  // it may unsubscribe itself
    call(record);
    ++it;
  }
}

}  // namespace tend::supervisor
