// The names of options: keys, aliases, spellings.
#include <algorithm>
#include <unordered_map>

#include "core/base/text.h"
#include "core/model/options.h"
#include "core/model/words.h"

namespace tend {
namespace {

// Names are looked up once per field of each app, so they are hashed; built once and never changed.
const std::unordered_map<std::string_view, std::size_t>& names() {
  static const auto kNames = [] {
    std::unordered_map<std::string_view, std::size_t> map;
    for (const OptionRow& row : options()) {
      map.emplace(row.key, index_of(row));
      std::string_view rest = row.aliases;
      while (!rest.empty()) {
        const auto blank = rest.find(' ');
        map.emplace(rest.substr(0, blank), index_of(row));
        rest = blank == std::string_view::npos ? "" : rest.substr(blank + 1);
      }
    }
    return map;
  }();
  return kNames;
}

std::string snake(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') {
      out += '_';
      out += static_cast<char>(c - 'A' + 'a');
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

const OptionRow* find_option(std::string_view name) {
  auto found = names().find(name);
  if (found == names().end()) found = names().find(snake(name));
  return found == names().end() ? nullptr : &options()[found->second];
}

std::string_view nearest_option(std::string_view name) {
  std::vector<std::string_view> known;
  for (const OptionRow& row : options()) known.push_back(row.key);
  const std::string_view key = nearest(snake(name), known);
  if (!key.empty()) return key;
  known.clear();
  for (const auto& [alias, row] : names()) {
    if (alias.size() > 4) known.push_back(alias);  // three letters are near to anything
  }
  std::sort(known.begin(), known.end());
  return nearest(snake(name), known);
}

std::size_t spelling_rank(const OptionRow& row, std::string_view name) {
  const std::string plain = snake(name);
  if (plain == row.pm2_key) return 0;
  if (plain == row.key) return 1;
  std::size_t rank = 2;
  for (const std::string& alias : split(row.aliases, ' ')) {
    if (alias == plain) break;
    ++rank;
  }
  return rank;
}

}  // namespace tend
