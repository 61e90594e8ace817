#include "core/supervisor/announced.h"

#include <algorithm>
#include <climits>
#include <iterator>

#include "core/base/match.h"

namespace tend::supervisor {
namespace {

constexpr std::size_t kLongestName = 256;
constexpr std::size_t kLongestVersion = 64;
constexpr std::size_t kEach = 16;  // of a value without its contents

}  // namespace

std::size_t weight_of(const Value& value) {
  return std::visit(Match{[](const std::string& s) { return kEach + s.size(); },
                          [](const List& list) {
                            std::size_t sum = kEach;
                            for (const Value& v : list) sum += weight_of(v);
                            return sum;
                          },
                          [](const Map& map) {
                            std::size_t sum = kEach;
                            for (const auto& [key, v] : map) sum += key.size() + weight_of(v);
                            return sum;
                          },
                          [](const auto&) { return kEach; }},
                    value.storage());
}

BoundedMap::Put BoundedMap::put(const std::string& key, const Value& value) {
  if (key.size() > kLongestName) return Put::refused;
  const auto known = places_.find(key);
  const std::size_t weight = key.size() + weight_of(value);
  if (known == places_.end()) {
    if (map_.size() >= max_entries_ || bytes_ + weight > max_bytes_) return Put::refused;
    places_.emplace(key, map_.size());
    map_.append(key, value);
    bytes_ += weight;
    return Put::added;
  }
  Value& old = std::next(map_.begin(), static_cast<std::ptrdiff_t>(known->second))->second;
  if (old == value) return Put::same;
  const std::size_t without = bytes_ - key.size() - weight_of(old);
  if (without + weight > max_bytes_) return Put::refused;
  bytes_ = without + weight;
  old = value;
  return Put::replaced;
}

const Value* BoundedMap::find(const std::string& key) const {
  const auto known = places_.find(key);
  return known == places_.end()
             ? nullptr
             : &std::next(map_.begin(), static_cast<std::ptrdiff_t>(known->second))->second;
}

void Announced::hear_into(BoundedMap& map, const std::string& key, const Value& value, bool metric,
                          Heard& heard) {
  switch (map.put(key, value)) {
    case BoundedMap::Put::same:
      break;
    case BoundedMap::Put::replaced:
      (metric ? heard.values : heard.more) = true;
      break;
    case BoundedMap::Put::added:
      heard.more = true;
      break;
    case BoundedMap::Put::refused:
      heard.refused = true;
      break;
  }
}

Announced::Heard Announced::hear(const Value& message) {
  Heard heard;
  if (const Value& version = message.at("node_version"); !version.is_null()) {
    heard.kept = true;
    heard.refused = version.text().size() > kLongestVersion;
    if (!heard.refused && version.text() != node_version_) {
      node_version_ = version.text();
      heard.more = true;
    }
    return heard;
  }
  const std::string& type = message.at("type").text();
  const Value& data = message.at("data");
  if (type == "axm:action") {
    heard.kept = true;
    const std::string& name = data.at("action_name").text();
    if (!name.empty()) hear_into(actions_, name, data, false, heard);
  } else if (type == "axm:monitor" || type == "axm:option:configuration") {
    heard.kept = true;
    const bool metric = type == "axm:monitor";
    for (const auto& [key, value] : data.map())
      hear_into(metric ? metrics_ : options_, key, value, metric, heard);
  }
  return heard;
}

bool Announced::is_scoped(const std::string& name) const {
  const Value* action = actions_.find(name);
  return action != nullptr && action->at("action_type").text() == "scoped";
}

List Announced::actions() const {
  List list;
  for (const auto& [name, action] : actions_.map()) list.push_back(action);
  return list;
}

int Announced::measured_pid() const {
  const Value* pid = options_.find("pid");
  const int64_t number = pid == nullptr ? 0 : pid->integer();
  return number > 0 && number <= INT_MAX ? static_cast<int>(number) : 0;
}

Value Announced::to_value() const {
  return Map{{"actions", actions()},
             {"metrics", metrics()},
             {"options", options()},
             {"node_version", node_version_}};
}

Announced Announced::from_value(const Value& value) {
  Announced a;
  for (const Value& action : value.at("actions").list())
    a.actions_.put(action.at("action_name").text(), action);
  for (const auto& [key, v] : value.at("metrics").map()) a.metrics_.put(key, v);
  for (const auto& [key, v] : value.at("options").map()) a.options_.put(key, v);
  a.node_version_ = value.at("node_version").text();
  return a;
}

}  // namespace tend::supervisor
