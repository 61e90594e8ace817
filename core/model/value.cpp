#include "core/model/value.h"

#include <algorithm>
#include <cmath>

namespace tend {

const Value* Map::find(std::string_view key) const {
  for (const Entry& e : entries_) {
    if (e.first == key) return &e.second;
  }
  return nullptr;
}

Value& Map::operator[](std::string_view key) {
  for (Entry& e : entries_) {
    if (e.first == key) return e.second;
  }
  return entries_.emplace_back(std::string(key), Value()).second;
}

void Map::set(std::string key, Value value) { (*this)[key] = std::move(value); }

void Map::append(std::string key, Value value) { entries_.emplace_back(std::move(key), std::move(value)); }

bool Map::erase(std::string_view key) {
  return std::erase_if(entries_, [&](const Entry& e) { return e.first == key; }) != 0;
}

bool operator==(const Map& a, const Map& b) { return a.entries_ == b.entries_; }

int64_t Value::integer(int64_t otherwise) const {
  if (const auto* i = as<int64_t>()) return *i;
  if (const auto* d = as<double>()) return std::isfinite(*d) && std::abs(*d) < 9e15 ? std::llround(*d) : otherwise;
  return otherwise;
}

double Value::number(double otherwise) const {
  if (const auto* d = as<double>()) return *d;
  if (const auto* i = as<int64_t>()) return static_cast<double>(*i);
  return otherwise;
}

bool Value::boolean(bool otherwise) const {
  const auto* b = as<bool>();
  return b != nullptr ? *b : otherwise;
}

const std::string& Value::text() const {
  static const std::string kNone;
  const auto* s = as<std::string>();
  return s != nullptr ? *s : kNone;
}

const List& Value::list() const {
  static const List kNone;
  const auto* l = as<List>();
  return l != nullptr ? *l : kNone;
}

const Map& Value::map() const {
  static const Map kNone;
  const auto* m = as<Map>();
  return m != nullptr ? *m : kNone;
}

const Value& Value::at(std::string_view key) const {
  static const Value kNull;
  const Value* v = map().find(key);
  return v != nullptr ? *v : kNull;
}

std::string_view Value::type_name() const {
  constexpr std::string_view kNames[] = {"null", "boolean", "number", "number", "string", "list", "object"};
  return kNames[v_.index()];
}

}  // namespace tend
