// What was made for a key a moment ago. A file asked for by many is looked up a few times a second, and who
// changed it need not tell anybody.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/units.h"

namespace tend::serve {

template <class T>
class ShortCache {
 public:
  // REQUIRES: most > 0
  ShortCache(Millis lifetime, std::size_t most) : lifetime_(lifetime), most_(most) {}

  // Null: nothing fresh.
  std::shared_ptr<T> find(std::string_view key, Millis now) const {
    const std::lock_guard lock(mutex_);
    const auto at = entries_.find(key);
    return at != entries_.end() && now - at->second.made < lifetime_ ? at->second.value : nullptr;
  }

  void put(std::string_view key, Millis now, std::shared_ptr<T> value) {
    const std::lock_guard lock(mutex_);
    if (entries_.size() >= most_) {
      std::erase_if(entries_, [&](const auto& e) { return now - e.second.made >= lifetime_; });
      if (entries_.size() >= most_) entries_.clear();
    }
    entries_.insert_or_assign(std::string(key), Entry{now, std::move(value)});
  }

  // Lets go of what is too old.
  void sweep(Millis now) {
    const std::lock_guard lock(mutex_);
    std::erase_if(entries_, [&](const auto& e) { return now - e.second.made >= lifetime_; });
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
  }

 private:
  struct Entry {
    Millis made;
    std::shared_ptr<T> value;
  };
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  const Millis lifetime_;
  const std::size_t most_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Entry, Hash, std::equal_to<>> entries_;
};

}  // namespace tend::serve
