// YAML with js-yaml 4's idea of types: yes and on stay text, 0755 is 755, dates become ISO text, << merges.
#include <yaml-cpp/yaml.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <regex>

#include "core/base/text.h"
#include "core/config/document.h"

namespace tend::config {
namespace {

// Thrown and caught in this file only, beside yaml-cpp's own exceptions.
struct Refused {
  YAML::Mark mark;
  std::string message;
};

bool integer(std::string s, Value& out) {
  std::erase(s, '_');
  std::string_view text = s;
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.starts_with("0x")) base = 16;
  if (text.starts_with("0o")) base = 8;
  if (text.starts_with("0b")) base = 2;
  if (base != 10) text.remove_prefix(2);
  int64_t n = 0;
  const auto* end = text.data() + text.size();
  const auto [rest, code] = std::from_chars(text.data(), end, n, base);
  if (text.empty() || text[0] == '-' || code != std::errc{} || rest != end) return false;
  out = negative ? -n : n;
  return true;
}

bool real(std::string s, Value& out) {
  static const std::regex kForm(
      R"([-+]?([0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|\.[0-9_]+([eE][-+]?[0-9]+)?))");
  if (s.size() > 64 || !std::regex_match(s, kForm) || s.back() == '_') return false;
  std::erase(s, '_');
  const bool negative = s.front() == '-';
  if (negative || s.front() == '+') s.erase(0, 1);
  double d = 0;
  if (std::from_chars(s.data(), s.data() + s.size(), d).ec != std::errc{}) return false;
  if (negative) d = -d;
  if (d == std::trunc(d) && std::abs(d) < 9e15) {
    out = static_cast<int64_t>(d);
  } else {
    out = d;
  }
  return true;
}

// 2001-12-14, 2001-12-14t21:59:43.10-05:00, 2001-12-14 21:59:43 +1
bool date(const std::string& s, Value& out) {
  static const std::regex kForm(
      R"((\d{4})-(\d\d?)-(\d\d?)(?:(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.(\d{0,3})\d*)?(?:[ \t]*(Z|([-+])(\d\d?)(?::?(\d\d))?))?)?)");
  std::smatch m;
  if (s.size() < 8 || s.size() > 40 || s[4] != '-' || !std::regex_match(s, m, kForm)) return false;
  const bool day_only = !m[4].matched;
  if (day_only && s.size() != 10) return false;
  const auto part = [&m](std::size_t i) {
    return m[i].matched && m[i].length() > 0 ? std::stoi(m[i].str()) : 0;
  };
  std::tm t{};
  t.tm_year = part(1) - 1900;
  t.tm_mon = part(2) - 1;
  t.tm_mday = part(3);
  t.tm_hour = part(4);
  t.tm_min = part(5);
  t.tm_sec = part(6);
  std::string millis = m[7].str();
  millis.resize(3, '0');
  const int offset = (part(10) * 60 + part(11)) * 60 * (m[9].str() == "-" ? -1 : 1);
  const std::time_t at = ::timegm(&t) - offset;
  std::tm utc{};
  ::gmtime_r(&at, &utc);
  std::array<char, 32> text{};
  const auto n = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  out = std::string(text.data(), n) + '.' + millis + 'Z';
  return true;
}

Value plain(const std::string& s) {
  Value v;
  if (s.empty() || s == "~" || s == "null" || s == "Null" || s == "NULL") return v;
  if (s == "true" || s == "True" || s == "TRUE") return true;
  if (s == "false" || s == "False" || s == "FALSE") return false;
  const char c = s.front();
  const bool numeric = (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.';
  if (numeric && (integer(s, v) || real(s, v) || date(s, v))) return v;
  if (s == ".inf" || s == ".Inf" || s == ".INF" || s == "+.inf") return HUGE_VAL;
  if (s == "-.inf" || s == "-.Inf" || s == "-.INF") return -HUGE_VAL;
  if (s == ".nan" || s == ".NaN" || s == ".NAN") return std::nan("");
  return s;
}

class Converter {
 public:
  explicit Converter(Document& document) : document_(document) {}

  Value convert(const YAML::Node& node, const std::string& path, int depth) {
    if (depth > kDeepest) throw Refused{node.Mark(), "nested more than 64 deep"};
    if (++nodes_ > kMostNodes)
      throw Refused{node.Mark(), "more than 200000 values, aliases counted each time"};
    if (node.IsMap()) return map(node, path, depth);
    if (node.IsSequence()) {
      List items;
      for (const YAML::Node& item : node) {
        items.push_back(
            convert(item, depth < kLineDepth ? path + '/' + std::to_string(items.size()) : path, depth + 1));
      }
      return items;
    }
    return scalar(node);
  }

 private:
  static Value scalar(const YAML::Node& node) {
    if (!node.IsScalar()) return {};
    const std::string& tag = node.Tag();
    if (tag == "!" || tag == "tag:yaml.org,2002:str") return node.Scalar();
    if (tag.empty() || tag == "?" || tag.starts_with("tag:yaml.org,2002:")) return plain(node.Scalar());
    throw Refused{node.Mark(), "unknown tag " + printable(tag)};
  }

  void note_line(const std::string& path, const YAML::Node& node, int depth) {
    if (depth <= kLineDepth) document_.lines.emplace(path, node.Mark().line + 1);
  }

  Value map(const YAML::Node& node, const std::string& path, int depth) {
    Map out, merged;
    std::unordered_map<std::string, bool> seen;
    note_line(path, node, depth);
    for (const auto& entry : node) {  // a pair that is also a node, so no structured binding
      const YAML::Node& key = entry.first;
      const YAML::Node& value = entry.second;
      if (!key.IsScalar()) throw Refused{key.Mark(), "a key that is not text"};
      const std::string& name = key.Scalar();
      if (name == "<<" && key.Tag() != "!") {
        merge(value, merged, path, depth);
        continue;
      }
      if (!seen.emplace(name, true).second) throw Refused{key.Mark(), "key " + printable(name) + " twice"};
      const std::string below = depth < kLineDepth ? path + '/' + name : path;
      note_line(below, key, depth + 1);
      out.append(name, convert(value, below, depth + 1));
    }
    for (auto& [name, value] : merged) {
      if (seen.emplace(name, true).second) out.append(name, std::move(value));
    }
    return out;
  }

  void merge(const YAML::Node& value, Map& merged, const std::string& path, int depth) {
    if (value.IsSequence()) {
      for (const YAML::Node& item : value) merge_one(item, merged, path, depth);
    } else {
      merge_one(value, merged, path, depth);
    }
  }

  void merge_one(const YAML::Node& value, Map& merged, const std::string& path, int depth) {
    if (!value.IsMap()) throw Refused{value.Mark(), "<< takes an object or a list of objects"};
    const Value source = convert(value, path, depth + 1);
    for (const auto& [name, v] : source.map()) {
      if (merged.find(name) == nullptr) merged.append(name, v);
    }
  }

  Document& document_;
  std::size_t nodes_ = 0;
};

tl::unexpected<Error> refuse(std::string_view name, const YAML::Mark& mark, const std::string& message) {
  std::string where(name);
  if (mark.line >= 0) where += ':' + std::to_string(mark.line + 1) + ':' + std::to_string(mark.column + 1);
  return fail(where + ": " + printable(message));
}

}  // namespace

Result<Document> parse_yaml(const std::string& text, std::string_view name) {
  if (const auto wrong = invalid_utf8(text); wrong != std::string::npos) {
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(wrong), '\n');
    return fail(std::string(name) + ':' + std::to_string(line) + ": a byte that is no UTF-8");
  }
  try {
    Document document;
    const YAML::Node root = YAML::Load(text);
    document.root = Converter(document).convert(root, "", 0);
    return document;
  } catch (const Refused& e) {
    return refuse(name, e.mark, e.message);
  } catch (const YAML::Exception& e) {
    return refuse(name, e.mark, e.msg);
  }
}

}  // namespace tend::config
