#include "core/model/env.h"

#include <algorithm>

namespace tend {
namespace {

auto place_of(auto& env, std::string_view name) {
  return std::find_if(env.begin(), env.end(), [name](const auto& entry) { return entry.first == name; });
}

}  // namespace

const std::string* find_variable(const Env& env, std::string_view name) {
  const auto place = place_of(env, name);
  return place == env.end() ? nullptr : &place->second;
}

void set_variable(Env& env, std::string_view name, std::string value) {
  if (const auto place = place_of(env, name); place != env.end())
    place->second = std::move(value);
  else
    env.emplace_back(name, std::move(value));
}

Env merged(Env under, const Env& over) {
  for (const auto& [name, value] : over) set_variable(under, name, value);
  return under;
}

bool passes_filter(const StringList& filter, std::string_view name) {
  return std::none_of(filter.begin(), filter.end(), [&](std::string_view part) {
    return part.starts_with('=') ? part.substr(1) == name : name.find(part) != std::string_view::npos;
  });
}

}  // namespace tend
