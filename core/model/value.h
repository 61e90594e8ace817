// The shape that every format shares: JSON, YAML, MessagePack, command-line words.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tend {

class Value;
using List = std::vector<Value>;

// Keeps insertion order; look-up is linear, meant for tens of keys. The last set() of a key wins.
class Map {
 public:
  using Entry = std::pair<std::string, Value>;
  Map() = default;
  Map(std::initializer_list<Entry> entries);
  const Value* find(std::string_view key) const;
  Value& operator[](std::string_view key);    // adds null when absent
  void set(std::string key, Value value);     // replaces
  void append(std::string key, Value value);  // REQUIRES: key is not there yet (not checked)
  void reserve(std::size_t entries);
  bool erase(std::string_view key);
  std::size_t size() const;
  bool empty() const;
  std::vector<Entry>::const_iterator begin() const;
  std::vector<Entry>::const_iterator end() const;
  std::vector<Entry>::iterator begin();
  std::vector<Entry>::iterator end();
  friend bool operator==(const Map&, const Map&);

 private:
  std::vector<Entry> entries_;
};

class Value {
 public:
  using Storage = std::variant<std::monostate, bool, int64_t, double, std::string, List, Map>;
  Value() = default;
  Value(std::nullptr_t) {}
  Value(bool b) : v_(b) {}
  Value(int i) : v_(int64_t{i}) {}
  Value(int64_t i) : v_(i) {}
  Value(uint32_t i) : v_(int64_t{i}) {}
  Value(double d) : v_(d) {}
  Value(const char* s) : v_(std::string(s)) {}
  Value(std::string_view s) : v_(std::string(s)) {}
  Value(std::string s) : v_(std::move(s)) {}
  Value(List l) : v_(std::move(l)) {}
  Value(Map m) : v_(std::move(m)) {}

  bool is_null() const { return std::holds_alternative<std::monostate>(v_); }
  template <class T>
  bool is() const {
    return std::holds_alternative<T>(v_);
  }
  template <class T>
  const T* as() const {
    return std::get_if<T>(&v_);
  }
  template <class T>
  T* as() {
    return std::get_if<T>(&v_);
  }

  // Lenient readers for data that tend itself wrote: the default when absent or of another type.
  int64_t integer(int64_t otherwise = 0) const;  // a double is rounded
  double number(double otherwise = 0) const;
  bool boolean(bool otherwise = false) const;
  const std::string& text() const;              // "" when no string
  const List& list() const;                     // empty when no list
  const Map& map() const;                       // empty when no map
  const Value& at(std::string_view key) const;  // null when no map or no such key

  std::string_view type_name() const;  // "null" "boolean" "number" "string" "list" "object"
  const Storage& storage() const { return v_; }
  friend bool operator==(const Value&, const Value&) = default;

 private:
  Storage v_;
};

inline Map::Map(std::initializer_list<Entry> entries) : entries_(entries) {}
inline void Map::reserve(std::size_t entries) { entries_.reserve(entries); }
inline std::size_t Map::size() const { return entries_.size(); }
inline bool Map::empty() const { return entries_.empty(); }
inline std::vector<Map::Entry>::const_iterator Map::begin() const { return entries_.begin(); }
inline std::vector<Map::Entry>::const_iterator Map::end() const { return entries_.end(); }
inline std::vector<Map::Entry>::iterator Map::begin() { return entries_.begin(); }
inline std::vector<Map::Entry>::iterator Map::end() { return entries_.end(); }

}  // namespace tend
