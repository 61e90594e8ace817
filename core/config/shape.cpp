#include <algorithm>

#include "core/base/text.h"
#include "core/config/files.h"
#include "core/config/parts.h"
#include "core/model/options.h"

namespace tend::config {
namespace {

bool names_a_script(const Map& map) {
  return std::any_of(map.begin(), map.end(), [](const Map::Entry& e) {
    const OptionRow* row = find_option(e.first);
    return row != nullptr && (row->key == "script" || row->key == "name");
  });
}

void add_list(const List& list, const std::string& path, std::vector<Entry>& out) {
  for (const Value& app : list) out.push_back({&app, path + '/' + std::to_string(out.size()), ""});
}

// The value of `apps` or `pm2`.
bool add_apps(const Value& apps, const std::string& path, bool pm2, std::vector<Entry>& out) {
  if (const auto* list = apps.as<List>()) {
    add_list(*list, path, out);
    return true;
  }
  const auto* map = apps.as<Map>();
  if (map == nullptr) return false;
  const bool named =
      !pm2 && !map->empty() && !names_a_script(*map) &&
      std::all_of(map->begin(), map->end(), [](const Map::Entry& e) { return e.second.is<Map>(); });
  if (!named) {
    out.push_back({&apps, path, ""});
    return true;
  }
  for (const auto& [key, app] : *map) out.push_back({&app, path + '/' + key, key});
  return true;
}

}  // namespace

Result<std::vector<Entry>> app_entries(const Document& document, bool pm2) {
  std::vector<Entry> entries;
  const Value& root = document.root;
  if (const auto* list = root.as<List>()) {
    add_list(*list, "", entries);
    return entries;
  }
  if (!root.is<Map>())
    return fail("found " + std::string(root.type_name()) + "; accepted: an object or a list of apps");
  if (const Value* apps = root.map().find("apps")) {
    if (add_apps(*apps, "/apps", pm2, entries)) return entries;
    return fail("apps: found " + std::string(apps->type_name()) + "; accepted: a list of apps, or an object");
  }
  if (const Value* below = root.map().find("pm2")) {
    if (const Value* apps = below->map().find("apps")) {
      if (add_apps(*apps, "/pm2/apps", pm2, entries)) return entries;
    } else if (add_apps(*below, "/pm2", pm2, entries)) {
      return entries;
    }
    return fail("pm2: found " + std::string(below->type_name()) + "; accepted: a list of apps, or an object");
  }
  if (!pm2 && root.map().find("script") == nullptr && root.map().find("scripts") != nullptr &&
      root.map().find("version") != nullptr)
    return fail(
        "found a package without apps; accepted: its field apps or pm2 (npm's scripts are started by: npm -- "
        "start)");
  entries.push_back({&root, "", ""});
  return entries;
}

std::string app_label(const Entry& entry) {
  const Value& name = entry.app->at("name");
  if (!name.text().empty()) return "app \"" + printable(name.text().substr(0, 80)) + '"';
  if (!entry.key.empty()) return "app \"" + printable(entry.key.substr(0, 80)) + '"';
  const std::string_view place = base_name(entry.path);
  return is_digits(place) ? "app #" + std::string(place) : "app";
}

std::string default_name(std::string_view script) {
  const bool line = script.find(' ') != std::string_view::npos;
  const std::string_view name = line ? script : base_name(script);
  const auto dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || name == "..") return std::string(name);
  return std::string(name.substr(0, dot));
}

}  // namespace tend::config
