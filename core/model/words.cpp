#include "core/model/words.h"

#include <array>
#include <charconv>
#include <cmath>

namespace tend {
namespace {

bool blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::string number_text(double d) {
  if (std::isnan(d)) return "NaN";
  if (std::isinf(d)) return d < 0 ? "-Infinity" : "Infinity";
  if (d == 0) return "0";
  std::array<char, 400> buffer{};
  const double size = std::abs(d);
  // JavaScript turns to exponents outside [1e-6, 1e21).
  const auto format = size >= 1e21 || size < 1e-6 ? std::chars_format::scientific : std::chars_format::fixed;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), d, format).ptr;
  return std::string(buffer.data(), end);
}

void write_string(std::string_view s, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : s) {
    const auto u = static_cast<unsigned char>(c);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (u < 0x20) {
          out += "\\u00";
          out += kHex[u >> 4];
          out += kHex[u & 15];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

void write_json(const Value& v, std::string& out) {
  if (const auto* s = v.as<std::string>()) return write_string(*s, out);
  if (const auto* list = v.as<List>()) {
    out += '[';
    for (std::size_t i = 0; i < list->size(); ++i) {
      if (i != 0) out += ',';
      write_json((*list)[i], out);
    }
    out += ']';
    return;
  }
  if (const auto* map = v.as<Map>()) {
    out += '{';
    bool first = true;
    for (const auto& [key, value] : *map) {
      if (!std::exchange(first, false)) out += ',';
      write_string(key, out);
      out += ':';
      write_json(value, out);
    }
    out += '}';
    return;
  }
  const auto* d = v.as<double>();
  out += d != nullptr && !std::isfinite(*d) ? "null" : js_text(v);
}

}  // namespace

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  std::size_t i = 0;
  while (i < text.size()) {
    while (i < text.size() && blank(text[i])) ++i;
    const std::size_t start = i;
    char quote = 0;
    for (; i < text.size() && (quote != 0 || !blank(text[i])); ++i) {
      if (quote != 0) {
        if (text[i] == quote) quote = 0;
      } else if ((text[i] == '"' || text[i] == '\'') && text.find(text[i], i + 1) != std::string_view::npos) {
        quote = text[i];  // one that is never closed is an ordinary character
      }
    }
    if (i == start) break;
    std::string_view word = text.substr(start, i - start);
    const char first = word.front();
    const bool wrapped =
        (first == '"' || first == '\'') && word.size() >= 2 && word.find(first, 1) == word.size() - 1;
    if (wrapped) word = word.substr(1, word.size() - 2);
    words.emplace_back(word);
  }
  return words;
}

std::string json_text(const Value& v) {
  std::string out;
  write_json(v, out);
  return out;
}

std::string js_text(const Value& v) {
  if (const auto* s = v.as<std::string>()) return *s;
  if (const auto* b = v.as<bool>()) return *b ? "true" : "false";
  if (const auto* i = v.as<int64_t>()) return std::to_string(*i);
  if (const auto* d = v.as<double>()) return number_text(*d);
  return v.is_null() ? "null" : json_text(v);
}

}  // namespace tend
