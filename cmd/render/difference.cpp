#include "cmd/render/difference.h"

#include "cmd/render/mask.h"
#include "core/base/text.h"
#include "core/model/options.h"
#include "core/model/words.h"

namespace tend::render {
namespace {

using Kind = AppDifference::Kind;

// The variable's or the option's name, by which a value is known as secret.
std::string_view name_of(const FieldChange& change) {
  const std::string_view field = change.field;
  return field.starts_with("env.") ? field.substr(4) : field;
}

std::string text_of(const FieldChange& change, const Value& value, bool show_secrets) {
  if (value.is_null()) return "none";
  const OptionRow* row = find_option(change.field);
  std::string text;
  if (row != nullptr && std::holds_alternative<Millis AppSpec::*>(row->slot) && value.is<int64_t>()) {
    text = show(Millis{value.integer()});
  } else if (row != nullptr && std::holds_alternative<Bytes AppSpec::*>(row->slot)) {
    text = show(Bytes{value.integer()});
  } else {
    text = js_text(show_secrets ? value : masked_value(name_of(change), value));
  }
  return text.empty() ? "\"\"" : printable(text);
}

}  // namespace

std::string deed(const AppDifference& d) {
  switch (d.kind) {
    case Kind::added:
      return "start";
    case Kind::changed:
      return "reload";
    case Kind::recreated:
      return "replace";
    case Kind::removed:
      return "delete";
    case Kind::same:
      break;
  }
  if (d.before != d.after) return "scale";
  return d.down.empty() ? "" : "start";
}

std::string difference_text(const AppDifference& d, bool show_secrets) {
  if (d.none()) return {};
  std::string out = printable(d.name) + ": " + deed(d);
  if (d.kind == Kind::added && d.after != 1) out += ", " + std::to_string(d.after) + " instances";
  out += "\n";
  for (const FieldChange& change : d.fields) {
    out += "  " + printable(change.field) + ": " + text_of(change, change.before, show_secrets) + " -> " +
           text_of(change, change.after, show_secrets) + "\n";
  }
  const bool both = d.kind != Kind::added && d.kind != Kind::removed;
  if (both && d.before != d.after)
    out += "  instances: " + std::to_string(d.before) + " -> " + std::to_string(d.after) + "\n";
  if (both && !d.down.empty()) out += "  status: stopped -> online\n";
  return out;
}

Value difference_value(const AppDifference& d, bool show_secrets) {
  const auto numbers = [](const std::vector<uint32_t>& ids) {
    List list;
    for (const uint32_t id : ids) list.emplace_back(id);
    return list;
  };
  List fields;
  for (const FieldChange& change : d.fields) {
    const std::string_view name = name_of(change);
    const auto shown = [&](const Value& v) { return show_secrets ? v : masked_value(name, v); };
    fields.emplace_back(
        Map{{"field", change.field}, {"from", shown(change.before)}, {"to", shown(change.after)}});
  }
  Map out{{"app", d.name}, {"action", deed(d)}, {"ids", numbers(d.ids)}, {"fields", std::move(fields)}};
  if (d.before != d.after) out.set("instances", Map{{"from", d.before}, {"to", d.after}});
  if (!d.down.empty()) out.set("start", numbers(d.down));
  return out;
}

}  // namespace tend::render
