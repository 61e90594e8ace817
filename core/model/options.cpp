#include "core/model/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <type_traits>

#include "core/base/text.h"
#include "core/model/cron_pattern.h"
#include "core/model/limits.h"
#include "core/model/words.h"

namespace tend {
namespace {

constexpr std::size_t kLongestFound = 80;  // of a wrong value, in messages

using Read = tl::expected<void, Bad>;

tl::unexpected<Bad> bad(const Value& v, std::string_view accepted) {
  std::string found = v.is<std::string>() ? '"' + printable(v.text()) + '"' : printable(json_text(v));
  if (found.size() > kLongestFound) found = found.substr(0, kLongestFound) + "...";
  return tl::unexpected<Bad>(Bad{std::move(found), std::string(accepted)});
}

// Calls f for each '|'-separated part until it returns true.
template <class F>
bool any_part(std::string_view parts, F f) {
  while (!parts.empty()) {
    const auto bar = parts.find('|');
    if (f(parts.substr(0, bar))) return true;
    if (bar == std::string_view::npos) break;
    parts.remove_prefix(bar + 1);
  }
  return false;
}

bool parse_int(std::string_view text, int64_t& out, int base = 10) {
  const auto* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, out, base);
  return error == std::errc{} && rest == end;
}

bool in_range(std::string_view accepts, int64_t n) {
  if (accepts.empty()) return true;
  return any_part(accepts, [n](std::string_view part) {
    const auto dots = part.find("..");
    int64_t low = 0, high = 0;
    return dots != std::string_view::npos && parse_int(part.substr(0, dots), low) &&
           parse_int(part.substr(dots + 2), high) && low <= n && n <= high;
  });
}

bool has_part(std::string_view parts, std::string_view word) {
  return any_part(parts, [word](std::string_view part) { return part == word; });
}

bool pm2_takes(const OptionRow& row, std::string_view type) {
  return has_part(row.pm2_accepts.substr(0, row.pm2_accepts.find_first_of(";/")), type);
}

bool plain(std::string_view text) { return text.find('\0') == std::string_view::npos; }

bool number(const Value& v) { return v.is<int64_t>() || v.is<double>(); }

bool whole(const Value& v, int64_t& out) {
  if (const auto* i = v.as<int64_t>()) {
    out = *i;
    return true;
  }
  const auto* d = v.as<double>();
  if (d == nullptr || std::trunc(*d) != *d || std::abs(*d) > 9e15) return false;
  out = static_cast<int64_t>(*d);
  return true;
}

// The spellings of one value become one: what is stored is what the rest of the program compares with.
std::string canonical(const OptionRow& row, std::string text) {
  if (row.accepts == "cron") return text == "0" ? "" : text;
  if (row.key == "exec_mode" && text.size() > 5 && text.ends_with("_mode")) text.resize(text.size() - 5);
  if (row.key == "kill_signal" && !text.starts_with("SIG")) text.insert(0, "SIG");
  return text;
}

Read read(const OptionRow& row, const Value& v, std::string& out) {
  const bool flagged = v.is<bool>() && pm2_takes(row, "boolean");  // log_file: true
  if (!v.is<std::string>() && !number(v) && !flagged)
    return bad(v, row.accepts.empty() ? "text" : row.accepts);
  std::string text = canonical(row, flagged && !v.boolean() ? "" : js_text(v));
  if (!plain(text)) return bad(v, "text without NUL");
  if (row.accepts == "cron") {
    if (!text.empty()) {
      if (auto pattern = parse_cron(text); !pattern) return bad(v, pattern.error().message);
    }
  } else if (row.accepts == "cores") {
    if (!text.empty() && !parse_cores(text)) return bad(v, "cores as 1.5, or a part of one as 50%");
  } else if (row.accepts == "zone") {
    if (!text.empty() && !is_zone_name(text)) return bad(v, "a time zone as Europe/Berlin");
  } else if (!row.accepts.empty() && !text.empty() && !has_part(row.accepts, text)) {
    return bad(v, row.accepts);
  }
  out = std::move(text);
  return {};
}

Read read(const OptionRow&, const Value& v, bool& out) {
  if (const auto* b = v.as<bool>()) {
    out = *b;
  } else if (v.text() == "true" || v.text() == "false") {
    out = v.text() == "true";
  } else {
    return bad(v, "true|false");
  }
  return {};
}

Read read(const OptionRow& row, const Value& v, int64_t& out) {
  const std::string_view accepted = row.accepts.empty() ? "a whole number" : row.accepts;
  const bool octal = row.accepts == "octal";
  const std::string_view range = octal ? "-1..511" : row.accepts;
  int64_t n = 0;
  if (const auto* text = v.as<std::string>()) {
    const bool word = row.key == "instances" && (*text == "max" || *text == "auto");
    if (!word && !parse_int(*text, n, octal ? 8 : 10)) return bad(v, accepted);
  } else if (!whole(v, n)) {
    return bad(v, accepted);
  }
  if (!in_range(range, n)) return bad(v, octal ? "an octal number from 0 to 0777" : accepted);
  out = n;
  return {};
}

template <class Unit, class Parse>
Read read_unit(const OptionRow& row, const Value& v, Unit& out, Parse parse, std::string_view form) {
  const std::string accepted =
      std::string(form) + (row.accepts.empty() ? "" : " in " + std::string(row.accepts));
  Unit unit;
  if (const auto* text = v.as<std::string>()) {
    const auto parsed = parse(*text);
    if (!parsed) return bad(v, accepted);
    unit = *parsed;
  } else {
    const double d = v.number(-1);
    if (!number(v) || !(d >= 0 && d < 9e15)) return bad(v, accepted);
    unit.n = std::llround(d);
  }
  if (!in_range(row.accepts, unit.n)) return bad(v, accepted);
  out = unit;
  return {};
}

Read read(const OptionRow& row, const Value& v, Millis& out) {
  return read_unit(row, v, out, parse_millis, "a time as in 10s, 5m, 200ms or 200 (milliseconds)");
}

Read read(const OptionRow& row, const Value& v, Bytes& out) {
  return read_unit(row, v, out, parse_bytes, "a size as in 500M, 1G or 1048576 (bytes)");
}

Read read(const OptionRow& row, const Value& v, StringList& out) {
  StringList words;
  if (const auto* text = v.as<std::string>()) {
    words = split_words(*text);
  } else if (const auto* list = v.as<List>()) {
    for (const Value& item : *list) {
      if (item.is<List>() || item.is<Map>() || item.is_null())
        return bad(v, "a list of texts, or one text of words");
      words.push_back(js_text(item));
    }
  } else if (number(v)) {
    words.push_back(js_text(v));
  } else if (!(v.is<bool>() && pm2_takes(row, "boolean"))) {  // filter_env: true means nothing to PM2 either
    return bad(v, "a list of texts, or one text of words");
  }
  for (const std::string& word : words) {
    if (!plain(word)) return bad(v, "text without NUL");
  }
  out = std::move(words);
  return {};
}

Read read(const OptionRow& row, const Value& v, IntList& out) {
  const std::string accepted = "a number or a list of numbers in " + std::string(row.accepts);
  List items;
  if (const auto* list = v.as<List>()) {
    items = *list;
  } else if (const auto* text = v.as<std::string>()) {
    std::string words = *text;
    std::replace(words.begin(), words.end(), ',', ' ');
    for (std::string& word : split_words(words)) items.emplace_back(std::move(word));
  } else {
    items.push_back(v);
  }
  IntList numbers;
  for (const Value& item : items) {
    int64_t n = 0, last = 0;
    const std::size_t dash = item.text().find('-', 1);  // "2-5"
    const bool range = dash != std::string::npos;
    const bool ok = item.is<std::string>() ? parse_int(item.text().substr(0, dash), n) : whole(item, n);
    if (!ok || (range && !parse_int(item.text().substr(dash + 1), last))) return bad(v, accepted);
    if (!range) last = n;
    if (last < n || !in_range(row.accepts, n) || !in_range(row.accepts, last)) return bad(v, accepted);
    for (; n <= last; ++n) numbers.push_back(n);
  }
  out = std::move(numbers);
  return {};
}

Read read(const OptionRow&, const Value& v, Env& out) {
  const auto* map = v.as<Map>();
  if (map == nullptr) return bad(v, "an object of variables (a dotenv file goes in env_file)");
  Env env;
  env.reserve(map->size());
  for (const auto& [key, value] : *map) {
    if (key.empty() || !plain(key) || key.find('=') != std::string::npos) {
      return bad(Value(key), "a variable's name without = and NUL");
    }
    std::string text = js_text(value);
    if (!plain(text)) return bad(Value(key), "a value without NUL");
    env.emplace_back(key, std::move(text));
  }
  out = std::move(env);
  return {};
}

Read read(const OptionRow& row, const Value& v, Value& out) {
  if (!v.is_null() && !has_part(row.accepts, v.type_name())) return bad(v, row.accepts);
  if (v.is<std::string>() && has_part(row.accepts, "list")) {
    List words;
    for (std::string& word : split_words(v.text())) words.emplace_back(std::move(word));
    out = std::move(words);
  } else {
    out = v;
  }
  return {};
}

Value to(const std::string& s) { return s; }
Value to(bool b) { return b; }
Value to(int64_t n) { return n; }
Value to(Millis t) { return t.n; }
Value to(Bytes b) { return b.n; }
Value to(const Value& v) { return v; }

template <class T>
Value to(const std::vector<T>& items) {
  return List(items.begin(), items.end());
}

Value to(const Env& env) {
  Map map;
  for (const auto& [name, value] : env) map.append(name, value);
  return map;
}

std::string quoted(const std::string& word) {
  return word.empty() || word.find_first_of(" \t\n") != std::string::npos ? '"' + word + '"' : word;
}

}  // namespace

std::size_t index_of(const OptionRow& row) { return static_cast<std::size_t>(&row - options().data()); }

tl::expected<void, Bad> assign(AppSpec& spec, const OptionRow& row, const Value& v) {
  auto done = std::visit([&](auto member) { return read(row, v, spec.*member); }, row.slot);
  if (done) {
    spec.given.set(index_of(row));
    spec.resolved.reset(index_of(row));
  }
  return done;
}

Value get(const AppSpec& spec, const OptionRow& row) {
  return std::visit([&](auto member) { return to(spec.*member); }, row.slot);
}

std::string show(const AppSpec& spec, const OptionRow& row) {
  if (const auto* t = std::get_if<Millis AppSpec::*>(&row.slot)) return show(spec.*(*t));
  if (const auto* b = std::get_if<Bytes AppSpec::*>(&row.slot)) return show(spec.*(*b));
  if (row.accepts == "octal" && spec.umask >= 0) {
    const auto bits = static_cast<unsigned>(spec.umask);
    std::string text = "0";
    for (int shift = 6; shift >= 0; shift -= 3) text += static_cast<char>('0' + ((bits >> shift) & 7u));
    return text;
  }
  const Value v = get(spec, row);
  std::string text;
  if (v.is<List>()) {
    for (const Value& item : v.list()) text += (text.empty() ? "" : " ") + quoted(js_text(item));
  } else if (std::holds_alternative<Env AppSpec::*>(row.slot)) {
    for (const auto& [name, value] : v.map())
      text += (text.empty() ? "" : " ") + quoted(name + '=' + value.text());
  } else if (!v.is_null()) {
    text = js_text(v);
  }
  return text;
}

Value to_value(const AppSpec& spec) {
  Map map;
  List computed;
  for (const OptionRow& row : options()) {
    const std::size_t i = index_of(row);
    if (!spec.given[i] && !spec.resolved[i]) continue;
    map.append(std::string(row.key), get(spec, row));
    if (!spec.given[i]) computed.emplace_back(row.key);
  }
  if (!computed.empty()) map.append("resolved", std::move(computed));
  if (!spec.extra.is_null()) map.append("extra", spec.extra);
  if (!spec.source.empty()) map.append("source", spec.source);
  if (!spec.typed.empty()) map.append("typed", List(spec.typed.begin(), spec.typed.end()));
  if (!spec.origins.is_null()) map.append("origins", spec.origins);
  return map;
}

Result<AppSpec> spec_from_value(const Value& v) {
  const auto* map = v.as<Map>();
  if (map == nullptr) return fail("app: found " + std::string(v.type_name()) + "; accepted: object");
  AppSpec spec;
  const List* computed = nullptr;
  for (const auto& [key, value] : *map) {
    if (key == "resolved") {
      computed = value.as<List>();
    } else if (key == "extra") {
      spec.extra = value;
    } else if (key == "source") {
      spec.source = value.text();
    } else if (key == "typed") {
      for (const Value& name : value.list()) spec.typed.push_back(name.text());
    } else if (key == "origins") {
      spec.origins = value;
    } else if (const OptionRow* row = find_option(key); row != nullptr && row->key == key) {
      if (auto done = assign(spec, *row, value); !done) {
        return fail(key + ": found " + done.error().found + "; accepted: " + done.error().accepted);
      }
    }
  }
  if (computed == nullptr) return spec;
  for (const Value& key : *computed) {
    const OptionRow* row = find_option(key.text());
    if (row == nullptr || !spec.given[index_of(*row)]) continue;
    spec.given.reset(index_of(*row));
    spec.resolved.set(index_of(*row));
  }
  return spec;
}

}  // namespace tend
