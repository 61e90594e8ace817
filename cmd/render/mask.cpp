#include "cmd/render/mask.h"

#include <algorithm>

namespace tend::render {

bool secret_name(std::string_view key) {
  std::string upper(key);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  if (upper == "PWD" || upper == "OLDPWD") return false;
  for (const std::string_view word :
       {"PASS", "SECRET", "TOKEN", "CREDENTIAL", "PRIVATE", "PWD", "KEY_", "APIKEY"})
    if (upper.find(word) != std::string::npos) return true;
  const auto ends = [&](std::string_view tail) {
    return upper.size() >= tail.size() && upper.compare(upper.size() - tail.size(), tail.size(), tail) == 0;
  };
  return ends("KEY") || ends("KEYS");
}

std::string masked(std::string_view key, std::string_view value) {
  if (secret_name(key)) return "****";
  // scheme://user:password@host
  const std::size_t scheme = value.find("://");
  if (scheme == std::string_view::npos) return std::string(value);
  const std::size_t host = scheme + 3;
  const std::size_t end = std::min(value.find('/', host), value.size());
  const std::size_t at = value.substr(0, end).rfind('@');
  const std::size_t colon = value.find(':', host);
  if (at == std::string_view::npos || at < host || colon == std::string_view::npos || colon > at)
    return std::string(value);
  return std::string(value.substr(0, colon + 1)) + "****" + std::string(value.substr(at));
}

}  // namespace tend::render
