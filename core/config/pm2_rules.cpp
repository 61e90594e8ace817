#include <regex>

#include "core/base/text.h"
#include "core/config/parts.h"
#include "core/model/options.h"
#include "core/model/words.h"

namespace tend::config {
namespace {

struct Rule {
  std::vector<std::string> types;
  std::string min, pattern, hint;
};

// The form of OptionRow::pm2_accepts.
Rule parse_rule(std::string_view text) {
  Rule rule;
  if (const auto slash = text.find('/'); slash != std::string_view::npos) {
    const std::string_view rest = text.substr(slash + 1);
    rule.pattern = rest.substr(0, rest.find('/'));
    rule.hint = rest.substr(rest.find('/') + 1);
    text = text.substr(0, slash);
  }
  if (const auto min = text.find(";min="); min != std::string_view::npos) {
    rule.min = text.substr(min + 5);
    text = text.substr(0, min);
  }
  rule.types = split(text, '|');
  return rule;
}

std::string js_type(std::string_view type) {
  if (type == "list") return "[object Array]";
  std::string name = "[object " + std::string(type) + ']';
  name[8] = static_cast<char>(name[8] - 'a' + 'A');
  return name;
}

bool numeric(const Value& v) {
  static const std::regex kNumber(R"(\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*)");
  return v.is<std::string>() && v.text().size() < 64 && std::regex_match(v.text(), kNumber);
}

std::string violation(const OptionRow& row, const Value& v) {
  const Rule rule = parse_rule(row.pm2_accepts);
  const std::string field = '"' + std::string(row.key) + '"';
  bool typed = false;
  std::string expected;
  for (const std::string& type : rule.types) {
    typed = typed || v.type_name() == type || (type == "number" && numeric(v));
    expected += (expected.empty() ? "" : " / ") + js_type(type);
  }
  if (!typed)
    return "Expect " + field + " to be a typeof " + expected + ", but now is " + js_type(v.type_name());
  const std::string text = js_text(v);
  if (!rule.pattern.empty() && (text.size() > 64 || !std::regex_match(text, std::regex(rule.pattern)))) {
    return "Verify " + field + " with regex failed, " + rule.hint;
  }
  const bool number = v.is<int64_t>() || v.is<double>() || numeric(v);
  if (!rule.min.empty() && number &&
      std::strtod(text.c_str(), nullptr) < std::strtod(rule.min.c_str(), nullptr)) {
    return "The minimum of " + field + " is " + rule.min + ", but now is " + text;
  }
  return {};
}

}  // namespace

std::vector<std::string> pm2_violations(const Map& app) {
  std::vector<std::string> texts;
  for (const auto& [key, value] : app) {
    const OptionRow* row = find_option(key);
    if (row == nullptr || row->pm2_accepts.empty() || value.is_null()) continue;
    if (std::string text = violation(*row, value); !text.empty()) texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace tend::config
