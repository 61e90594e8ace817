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

namespace {

// "--token=x" and "TOKEN=x".
std::string masked_word(const std::string& word) {
  const auto equals = word.find('=');
  const auto name = std::min(word.find_first_not_of('-'), equals);
  if (equals == std::string::npos || !secret_name(std::string_view(word).substr(name, equals - name)))
    return masked("", word);
  return word.substr(0, equals + 1) + "****";
}

}  // namespace

std::vector<std::string> masked_words(const std::vector<std::string>& words) {
  std::vector<std::string> out;
  const Value masked = masked_value("", List(words.begin(), words.end()));
  for (const Value& word : masked.list()) out.push_back(word.text());
  return out;
}

Value masked_value(std::string_view key, const Value& value) {
  if (const auto* map = value.as<Map>()) {
    Map out;
    for (const auto& [name, inner] : *map) out.append(name, masked_value(name, inner));
    return out;
  }
  if (const auto* list = value.as<List>()) {
    List out;
    bool next = false;  // "--token x": the word after a secret's name
    for (const Value& inner : *list) {
      if (!inner.is<std::string>()) {
        out.push_back(masked_value(key, inner));
        next = false;
        continue;
      }
      const std::string& word = inner.text();
      const bool value_word = next && !word.starts_with('-');
      out.emplace_back(value_word || secret_name(key) ? std::string("****") : masked_word(word));
      next = word.starts_with('-') && word.find('=') == std::string::npos && secret_name(word);
    }
    return out;
  }
  if (value.is<std::string>()) return value.text().empty() ? value : Value(masked(key, value.text()));
  if (value.is_null() || value.is<bool>() || !secret_name(key)) return value;
  return std::string("****");
}

}  // namespace tend::render
