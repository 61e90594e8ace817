#include "core/supervisor/event_bus.h"

namespace tend::supervisor {
namespace {

template <class Call>
EventBus::Subscription enter(std::vector<std::weak_ptr<Call>>& list, Call call) {
  auto held = std::make_shared<Call>(std::move(call));
  list.push_back(held);
  return held;
}

// By index: a call may subscribe somebody else.
template <class Call, class News>
void call_all(std::vector<std::weak_ptr<Call>>& list, const News& news) {
  std::erase_if(list, [](const auto& weak) { return weak.expired(); });
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (const auto call = list[i].lock()) (*call)(news);
  }
}

}  // namespace

EventBus::Subscription EventBus::subscribe(Observer observer) {
  return enter(observers_, std::move(observer));
}

EventBus::Subscription EventBus::listen(Listener listener) { return enter(listeners_, std::move(listener)); }

void EventBus::tell(std::string_view topic, const Instance& app, std::string_view key, const Value& body,
                    int64_t wall) {
  call_all(listeners_, Message{++last_, wall, topic, app, key, body});
}

void EventBus::publish(std::string_view event, const Instance& app, lifecycle::Phase from, int64_t wall,
                       std::string_view detail) {
  call_all(observers_, Record{++last_, wall, event, app, from, detail});
}

}  // namespace tend::supervisor
