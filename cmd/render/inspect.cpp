#include "cmd/render/inspect.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "cmd/render/width.h"
#include "core/base/text.h"

namespace tend::render {
namespace {

constexpr std::size_t kLine = 80;       // breakLength
constexpr std::size_t kCompact = 3;     // inner levels that may share a line
constexpr std::size_t kGroupAbove = 6;  // longer lists are set in columns
constexpr std::size_t kShownItems = 100;

std::string quote(std::string_view s) {
  char mark = '\'';
  if (s.find('\'') != std::string_view::npos) {
    if (s.find('"') == std::string_view::npos)
      mark = '"';
    else if (s.find('`') == std::string_view::npos && s.find("${") == std::string_view::npos)
      mark = '`';
  }
  std::string out(1, mark);
  for (std::size_t at = 0; at < s.size(); ++at) {
    const char c = s[at];
    switch (c) {
      case '\n':
        out += "\\n";
        continue;
      case '\t':
        out += "\\t";
        continue;
      case '\b':
        out += "\\b";
        continue;
      case '\f':
        out += "\\f";
        continue;
      case '\r':
        out += "\\r";
        continue;
      case '\v':
        out += "\\v";
        continue;
      case '\\':
        out += "\\\\";
        continue;
      default:
        break;
    }
    if (c == mark) {
      out += '\\';
      out += c;
    } else if (const auto control = leading_control(s.substr(at))) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\x%02X", static_cast<unsigned>(control->code));
      out += hex;
      at += control->bytes - 1;
    } else {
      out += c;
    }
  }
  return out + mark;
}

bool is_identifier(std::string_view key) {
  if (key.empty() || (key[0] >= '0' && key[0] <= '9')) return false;
  return std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string number(double d) {
  if (std::isnan(d)) return "NaN";
  if (std::isinf(d)) return d < 0 ? "-Infinity" : "Infinity";
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, d);
  return std::string(text, end.ptr);
}

class Inspector {
 public:
  std::string value(const Value& v, std::size_t depth) {
    if (v.is_null()) return "null";
    if (const bool* b = v.as<bool>()) return *b ? "true" : "false";
    if (const int64_t* i = v.as<int64_t>()) return std::to_string(*i);
    if (const double* d = v.as<double>()) return number(*d);
    if (const std::string* s = v.as<std::string>()) return text(*s, depth);
    if (const List* l = v.as<List>()) return list(*l, depth);
    return map(v.map(), depth);
  }

 private:
  // A long text with line breaks is shown as a sum of its lines; not at the top.
  std::string text(const std::string& s, std::size_t depth) const {
    const bool splits =
        depth > 0 && s.size() > 16 && s.size() + indent_ + 4 > kLine && s.find('\n') + 1 < s.size();
    if (!splits) return quote(s);
    std::string out;
    for (std::size_t at = 0; at < s.size();) {
      const std::size_t end = std::min(s.find('\n', at), s.size() - 1) + 1;
      if (at != 0) out += " +\n" + std::string(indent_ + 2, ' ');
      out += quote(std::string_view(s).substr(at, end - at));
      at = end;
    }
    return out;
  }

  std::string list(const List& l, std::size_t depth) {
    if (l.empty()) return "[]";
    deepest_ = depth;
    std::vector<std::string> parts;
    const std::size_t shown = std::min(l.size(), kShownItems);
    indent_ += 2;
    for (std::size_t i = 0; i < shown; ++i) parts.push_back(value(l[i], depth + 1));
    indent_ -= 2;
    const std::size_t more = l.size() - shown;
    if (more != 0) parts.push_back("... " + std::to_string(more) + " more item" + (more > 1 ? "s" : ""));
    const std::size_t entries = parts.size();
    if (entries > kGroupAbove) group(parts, l, more != 0);
    return join(parts, '[', ']', depth, entries);
  }

  std::string map(const Map& m, std::size_t depth) {
    if (m.empty()) return "{}";
    deepest_ = depth;
    std::vector<std::string> parts;
    indent_ += 2;
    for (const auto& [key, v] : m)
      parts.push_back((is_identifier(key) ? key : quote(key)) + ": " + value(v, depth + 1));
    indent_ -= 2;
    return join(parts, '{', '}', depth, parts.size());
  }

  std::string join(const std::vector<std::string>& parts, char open, char close, std::size_t depth,
                   std::size_t entries) const {
    if (deepest_ - depth < kCompact && entries == parts.size()) {
      std::size_t total = parts.size() + indent_ + 1 + 10 + parts.size();
      bool broken = false;
      for (const auto& p : parts) {
        total += p.size();
        broken = broken || p.find('\n') != std::string::npos;
      }
      if (total <= kLine && !broken) return std::string(1, open) + " " + glue(parts, ", ") + " " + close;
    }
    const std::string line = "\n" + std::string(indent_, ' ');
    return std::string(1, open) + line + "  " + glue(parts, "," + line + "  ") + line + close;
  }

  static std::string glue(const std::vector<std::string>& parts, std::string_view between) {
    std::string out;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (i != 0) out += between;
      out += parts[i];
    }
    return out;
  }

  // Lists of many short items become columns of about equal width and a pleasing height.
  void group(std::vector<std::string>& parts, const List& l, bool has_more) const {
    const std::size_t count = parts.size() - (has_more ? 1 : 0);
    std::vector<std::size_t> lengths;
    std::size_t total = 0, longest = 0;
    for (std::size_t i = 0; i < count; ++i) {
      lengths.push_back(display_width(parts[i]));
      total += lengths.back() + 2;
      longest = std::max(longest, lengths.back());
    }
    const std::size_t widest = longest + 2;
    if (widest * 3 + indent_ >= kLine) return;
    if (static_cast<double>(total) / static_cast<double>(widest) <= 5 && longest > 6) return;
    const double mean = static_cast<double>(total) / static_cast<double>(parts.size());
    // Node's measure, found by comparison with its output: 3,000 random lists are set alike.
    const double spread = std::sqrt(static_cast<double>(widest) - mean);
    const double bias = std::max(static_cast<double>(widest) - 3 - spread, 1.0);
    const std::size_t columns = std::min(
        {static_cast<std::size_t>(std::lround(std::sqrt(2.5 * bias * static_cast<double>(count)) / bias)),
         (kLine - indent_) / widest, kCompact * 4, std::size_t{15}});
    if (columns <= 1) return;
    std::vector<std::size_t> widths(columns, 0);
    for (std::size_t i = 0; i < count; ++i)
      widths[i % columns] = std::max(widths[i % columns], lengths[i] + 2);
    const bool right =
        std::all_of(l.begin(), l.end(), [](const Value& v) { return v.is<int64_t>() || v.is<double>(); });
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < count; i += columns) {
      std::string row;
      const std::size_t end = std::min(i + columns, count);
      for (std::size_t j = i; j < end; ++j) {
        const bool last = j + 1 == end;
        const std::string blanks(widths[j - i] - lengths[j] - 2, ' ');
        if (right) row += blanks;
        row += parts[j];
        if (!last) row += ", ";
        if (!right && !last) row += blanks;
      }
      lines.push_back(std::move(row));
    }
    if (has_more) lines.push_back(parts.back());
    parts = std::move(lines);
  }

  std::size_t indent_ = 0;
  std::size_t deepest_ = 0;  // depth of the list or map that was begun last
};

}  // namespace

std::string inspect(const Value& value) { return Inspector().value(value, 0); }

}  // namespace tend::render
