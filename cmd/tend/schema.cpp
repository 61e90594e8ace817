#include "cmd/tend/schema.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/model/options.h"

namespace tend::cli {
namespace {

constexpr std::string_view kTime = "^\\d+(\\.\\d+)?\\s*(ms|s|m|h|d)?$";
constexpr std::string_view kSize = "^\\d+(\\.\\d+)?\\s*([KMGTkmgt]([iI]?[bB])?|[bB])?$";
constexpr std::string_view kWhole = "^-?\\d+$";

Map type(std::string_view name) { return Map{{"type", name}}; }
Map ref(std::string_view name) { return Map{{"$ref", "#/$defs/" + std::string(name)}}; }
Map pattern(std::string_view text) { return Map{{"type", "string"}, {"pattern", text}}; }
Map any_of(List forms) { return forms.size() == 1 ? forms[0].map() : Map{{"anyOf", std::move(forms)}}; }
Map required(std::string_view key) { return Map{{"required", List{key}}}; }
Map list_of(Map items) { return Map{{"type", "array"}, {"items", std::move(items)}}; }

// "a|b|1..5": the words, and the ranges.
struct Accepts {
  List words;
  List ranges;
};

bool whole(std::string_view text) { return is_digits(text.starts_with('-') ? text.substr(1) : text); }

Accepts parse(std::string_view accepts) {
  Accepts out;
  for (const std::string& part : split(accepts, '|')) {
    const auto dots = part.find("..");
    if (dots != std::string::npos && whole(part.substr(0, dots)) && whole(part.substr(dots + 2))) {
      out.ranges.emplace_back(Map{{"type", "integer"},
                                  {"minimum", int64_t{std::stoll(part.substr(0, dots))}},
                                  {"maximum", int64_t{std::stoll(part.substr(dots + 2))}}});
    } else if (!part.empty()) {
      out.words.emplace_back(part);
    }
  }
  return out;
}

bool pm2_takes(const OptionRow& row, std::string_view word) {
  const auto types = split(row.pm2_accepts.substr(0, row.pm2_accepts.find_first_of(";/")), '|');
  return std::find(types.begin(), types.end(), word) != types.end();
}

// What a file may hold for the row: what assign() takes.
struct Forms {
  const OptionRow& row;

  List operator()(std::string AppSpec::*) const {
    if (row.accepts == "cron" || row.accepts == "cores") return {type("string"), type("number")};
    const Accepts a = parse(row.accepts);
    if (!a.words.empty()) {
      List words = a.words;
      if (row.key == "exec_mode") words.insert(words.end(), {"fork_mode", "cluster_mode"});
      if (row.key == "kill_signal")  // the short names too
        for (const Value& word : a.words) words.emplace_back(word.text().substr(3));
      return {Map{{"enum", std::move(words)}}};
    }
    List forms{type("string"), type("number")};
    if (pm2_takes(row, "boolean")) forms.emplace_back(type("boolean"));
    return forms;
  }
  List operator()(bool AppSpec::*) const { return {type("boolean"), Map{{"enum", List{"true", "false"}}}}; }
  List operator()(int64_t AppSpec::*) const {
    const Accepts a = parse(row.accepts);
    List forms = a.ranges.empty() ? List{type("integer")} : a.ranges;
    forms.emplace_back(pattern(row.key == "instances" ? "^(max|auto|-?\\d+,?)$" : kWhole));
    return forms;
  }
  List operator()(Millis AppSpec::*) const { return unit(kTime); }
  List operator()(Bytes AppSpec::*) const { return unit(kSize); }
  List operator()(StringList AppSpec::*) const {
    List forms{list_of(Map{{"type", List{"string", "number", "boolean"}}}), type("string"), type("number")};
    if (pm2_takes(row, "boolean")) forms.emplace_back(type("boolean"));
    return forms;
  }
  List operator()(IntList AppSpec::*) const {
    const List ranges = parse(row.accepts).ranges;
    const Map one = ranges.empty() ? type("integer") : ranges[0].map();
    return {list_of(any_of({one, pattern(kWhole)})), one, type("string")};
  }
  List operator()(Env AppSpec::*) const { return {ref("env")}; }
  List operator()(Value AppSpec::*) const {
    List forms;
    for (const std::string& word : split(row.accepts, '|'))
      forms.emplace_back(type(word == "list" ? "array" : word));
    return forms;
  }

  List unit(std::string_view text) const {
    const Accepts a = parse(row.accepts);
    List forms = a.ranges.empty() ? List{Map{{"type", "number"}, {"minimum", 0}}} : a.ranges;
    forms.emplace_back(pattern(text));
    return forms;
  }
};

std::string camel(std::string_view key) {
  std::string out;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const bool next = key[i] == '_' && i + 1 < key.size() && key[i + 1] >= 'a' && key[i + 1] <= 'z';
    out += next ? static_cast<char>(key[++i] - 'a' + 'A') : key[i];
  }
  return out;
}

Map properties() {
  Map out;
  for (const OptionRow& row : options()) {
    List forms = std::visit(Forms{row}, row.slot);
    forms.emplace_back(type("null"));
    Map form = any_of(std::move(forms));
    form.set("description", std::string(row.help));
    if (const std::string text = show(AppSpec{}, row); !text.empty())
      form.set("default", get(AppSpec{}, row));
    out.append(std::string(row.key), std::move(form));
  }
  for (const OptionRow& row : options()) {  // other names after all own ones
    std::vector<std::string> names = split(row.aliases, ' ');
    names.emplace_back(row.key);
    for (const std::string& name : std::vector<std::string>(names)) names.push_back(camel(name));
    for (const std::string& name : names) {
      if (name.empty() || out.find(name) != nullptr) continue;
      out.append(name, Map{{"$ref", "#/$defs/app/properties/" + std::string(row.key)},
                           {"description", "The same as " + std::string(row.key) + "."}});
    }
  }
  return out;
}

Map app_schema() {
  return Map{
      {"type", "object"},
      {"properties", properties()},
      {"patternProperties", Map{{"^env_", Map{{"anyOf", List{ref("env"), type("string"), type("null")}}}}}},
      {"anyOf", List{required("script"), required("exec"), required("cmd"), required("command")}}};
}

}  // namespace

Value ecosystem_schema() {
  const Map env{{"type", "object"},
                {"description", "Variables; what is no text becomes one."},
                {"propertyNames", Map{{"pattern", "^[^=]+$"}}}};
  const Map host{{"type", "object"},
                 {"properties", Map{{"user", type("string")},
                                    {"host", any_of({type("string"), list_of(type("string"))})},
                                    {"port", any_of({type("string"), type("integer")})},
                                    {"ref", type("string")},
                                    {"repo", type("string")},
                                    {"path", type("string")},
                                    {"key", type("string")},
                                    {"ssh_options", any_of({type("string"), list_of(type("string"))})},
                                    {"pre-setup", type("string")},
                                    {"post-setup", type("string")},
                                    {"pre-deploy", type("string")},
                                    {"pre-deploy-local", type("string")},
                                    {"post-deploy", type("string")},
                                    {"env", ref("env")}}}};
  const Map apps = any_of(
      {list_of(ref("app")), ref("app"), Map{{"type", "object"}, {"additionalProperties", ref("app")}}});
  const Map files{
      {"type", "object"},
      {"properties", Map{{"path", type("string")}, {"port", any_of({type("integer"), type("string")})}}}};
  // `pm2` may hold {apps: …} in turn.
  const Map below{{"type", "object"}, {"required", List{"apps"}}, {"properties", Map{{"apps", ref("apps")}}}};
  const auto holder = [&](std::string_view key) {
    return Map{
        {"type", "object"},
        {"required", List{key}},
        {"properties", Map{{std::string(key), key == "pm2" ? any_of({ref("apps"), below}) : ref("apps")},
                           {"deploy", Map{{"type", "object"}, {"additionalProperties", ref("host")}}},
                           {"static", list_of(ref("files"))}}}};
  };
  return Map{
      {"$schema", "https://json-schema.org/draft/2020-12/schema"},
      {"title", "A file of apps for tend"},
      {"anyOf", List{holder("apps"), holder("pm2"), list_of(ref("app")), ref("app")}},
      {"$defs", Map{{"env", env}, {"app", app_schema()}, {"apps", apps}, {"host", host}, {"files", files}}}};
}

}  // namespace tend::cli
