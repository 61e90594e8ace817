#include "ipc/msgpack.h"

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <numeric>

#include "ipc/msgpack_scan.h"

namespace tend::ipc {
namespace {

using Json = nlohmann::ordered_json;

// Removes doubled keys: the first place, the last value. Sorts instead of comparing all pairs, since a
// stranger chooses how many keys there are.
void keep_last(Map& map) {
  const auto entries = map.begin();
  std::vector<uint32_t> order(map.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return entries[a].first < entries[b].first; });
  std::vector<bool> doubled(order.size());
  bool any = false;
  for (std::size_t i = 0; i + 1 < order.size();) {
    std::size_t end = i + 1;
    while (end < order.size() && entries[order[end]].first == entries[order[i]].first)
      doubled[order[end++]] = true;
    if (end > i + 1) {
      entries[order[i]].second = std::move(entries[order[end - 1]].second);
      any = true;
    }
    i = end;
  }
  if (!any) return;
  Map kept;
  for (std::size_t i = 0; i < doubled.size(); ++i) {
    auto& entry = entries[static_cast<std::ptrdiff_t>(i)];
    if (!doubled[i]) kept.append(std::move(entry.first), std::move(entry.second));
  }
  map = std::move(kept);
}

// Builds a Value from nlohmann's events: no tree in between, keys in their order, linear.
class Builder {
 public:
  explicit Builder(std::size_t max_depth) : max_depth_(max_depth) {}

  bool null() { return add(Value()); }
  bool boolean(bool b) { return add(b); }
  bool number_integer(int64_t i) { return add(i); }
  bool number_unsigned(uint64_t u) {
    return u <= INT64_MAX ? add(static_cast<int64_t>(u)) : add(static_cast<double>(u));
  }
  bool number_float(double d, const std::string&) { return add(d); }
  bool string(std::string& s) { return add(std::move(s)); }
  bool binary(std::vector<uint8_t>& b) { return add(std::string(b.begin(), b.end())); }
  bool key(std::string& k) {
    open_.back().key = std::move(k);
    return true;
  }
  bool start_object(std::size_t) { return begin(Map()); }
  bool start_array(std::size_t) { return begin(List()); }
  bool end_object() {
    keep_last(*open_.back().value.as<Map>());
    return end();
  }
  bool end_array() { return end(); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) {
    position_ = position;
    what_ = e.what();
    return false;
  }

  Value take() { return std::move(root_); }
  std::size_t position() const { return position_; }
  // Without nlohmann's "[json.exception.parse_error.101] parse error at line 1, column 2: ".
  std::string reason() const {
    std::string_view s = what_;
    if (const auto bracket = s.find("] "); s.substr(0, 1) == "[" && bracket != s.npos)
      s.remove_prefix(bracket + 2);
    if (s.substr(0, 11) == "parse error") {
      if (const auto colon = s.find(": "); colon != s.npos) s.remove_prefix(colon + 2);
    }
    return std::string(s);
  }

 private:
  struct Level {
    Value value;
    std::string key;
  };
  bool add(Value v) {
    if (open_.empty()) {
      root_ = std::move(v);
    } else if (auto* list = open_.back().value.as<List>()) {
      list->push_back(std::move(v));
    } else {
      open_.back().value.as<Map>()->append(std::move(open_.back().key), std::move(v));
    }
    return true;
  }
  bool begin(Value container) {
    if (open_.size() >= max_depth_) {
      what_ = "nested deeper than " + std::to_string(max_depth_);
      return false;
    }
    open_.push_back({std::move(container), {}});
    return true;
  }
  bool end() {
    Value done = std::move(open_.back().value);
    open_.pop_back();
    return add(std::move(done));
  }

  std::size_t max_depth_;
  std::vector<Level> open_;
  Value root_;
  std::size_t position_ = 0;
  std::string what_;
};

Json to_tree(const Value& v, std::size_t depth_left) {
  if (const auto* b = v.as<bool>()) return Json(*b);
  if (const auto* i = v.as<int64_t>()) return Json(*i);
  if (const auto* d = v.as<double>()) return Json(*d);
  if (const auto* s = v.as<std::string>()) return Json(*s);
  if (v.is_null() || depth_left == 0) return Json(nullptr);
  if (const auto* l = v.as<List>()) {
    Json out = Json::array();
    auto& items = out.get_ref<Json::array_t&>();
    items.reserve(l->size());
    for (const Value& item : *l) items.push_back(to_tree(item, depth_left - 1));
    return out;
  }
  Json out = Json::object();
  // ordered_map's own emplace looks for the key first, which is quadratic; its base is the vector.
  Json::object_t::Container& entries = out.get_ref<Json::object_t&>();
  entries.reserve(v.map().size());
  for (const auto& [key, item] : v.map()) entries.emplace_back(key, to_tree(item, depth_left - 1));
  return out;
}

std::string place(std::string_view text, std::size_t position) {
  const std::string_view before = text.substr(0, position > 0 ? std::min(position - 1, text.size()) : 0);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const auto last = before.rfind('\n');
  const std::size_t column = before.size() - (last == before.npos ? 0 : last + 1) + 1;
  return "line " + std::to_string(line) + ", column " + std::to_string(column) + ": ";
}

}  // namespace

std::vector<std::uint8_t> to_msgpack(const Value& v) { return Json::to_msgpack(to_tree(v, kMaxDepth)); }

Result<Value> from_msgpack(std::span<const std::byte> bytes, std::size_t max_items) {
  if (auto sound = scan_msgpack(bytes, max_items, kMaxDepth); !sound) {
    return tl::unexpected<Error>(std::move(sound.error()));
  }
  Builder builder(kMaxDepth);
  try {
    const auto* first = reinterpret_cast<const uint8_t*>(bytes.data());
    if (Json::sax_parse(first, first + bytes.size(), &builder, nlohmann::detail::input_format_t::msgpack)) {
      return builder.take();
    }
    return fail("MessagePack: " + builder.reason());
  } catch (const std::exception& e) {
    return fail(std::string("MessagePack: ") + e.what());
  }
}

std::string to_json(const Value& v, int indent) {
  return to_tree(v, kMaxJsonDepth).dump(indent, ' ', false, Json::error_handler_t::replace);
}

Result<Value> from_json(std::string_view text) {
  Builder builder(kMaxJsonDepth);
  try {
    if (Json::sax_parse(text.begin(), text.end(), &builder)) return builder.take();
    return fail(place(text, builder.position()) + builder.reason());
  } catch (const std::exception& e) {
    return fail(e.what());
  }
}

}  // namespace tend::ipc
