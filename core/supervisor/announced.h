// What a process tells its manager of itself in PM2's words: actions that may be triggered, metrics, settings
// ({type: "axm:action" | "axm:monitor" | "axm:option:configuration", data}) and its Node's version. An app
// may say as much as it likes: what is above the limits is refused.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/model/value.h"

namespace tend::supervisor {

// A bounded Map with a fast look-up, in the order of coming.
class BoundedMap {
 public:
  BoundedMap(std::size_t entries, std::size_t bytes) : max_entries_(entries), max_bytes_(bytes) {}
  enum class Put : uint8_t { same, replaced, added, refused };
  Put put(const std::string& key, const Value& value);
  const Value* find(const std::string& key) const;
  const Map& map() const { return map_; }

 private:
  std::size_t max_entries_, max_bytes_;
  std::size_t bytes_ = 0;
  Map map_;
  std::unordered_map<std::string, std::size_t> places_;
};

// About what a value takes, keys included.
std::size_t weight_of(const Value& value);

class Announced {
 public:
  // What hearing a message did. `refused`: a part of it, or all, is above the limits.
  struct Heard {
    bool kept = false;    // it was one of these messages: nobody else needs it
    bool values = false;  // metrics that were known have other values
    bool more = false;    // something is there that was not, or other than before
    bool refused = false;
  };
  Heard hear(const Value& message);

  bool has_action(const std::string& name) const { return actions_.find(name) != nullptr; }
  bool is_scoped(const std::string& name) const;
  List actions() const;
  const Map& metrics() const { return metrics_.map(); }
  const Map& options() const { return options_.map(); }
  const std::string& node_version() const { return node_version_; }
  // The process that the app wants to have measured instead of its main one; 0: none.
  int measured_pid() const;

  // For a successor of this supervisor.
  Value to_value() const;
  static Announced from_value(const Value& value);

 private:
  void hear_into(BoundedMap& map, const std::string& key, const Value& value, bool metric, Heard& heard);
  BoundedMap actions_{256, 64u << 10};
  BoundedMap metrics_{1024, 128u << 10};
  BoundedMap options_{1024, 64u << 10};
  std::string node_version_;
};

}  // namespace tend::supervisor
