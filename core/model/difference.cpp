#include "core/model/difference.h"

#include <algorithm>

#include "core/model/env.h"
#include "core/model/options.h"

namespace tend {
namespace {

// Said of the app as a whole, or only looked at when it is added.
constexpr std::string_view kOutside[] = {"name", "instances", "env", "force", "autostart", "port", "time"};

// What a slot gets once, with its number: who it runs as, its place among the others.
constexpr std::string_view kBornWith[] = {"uid",          "gid",           "exec_mode", "listen",
                                          "instance_var", "increment_var", "namespace", "spare"};

bool among(const auto& words, std::string_view key) {
  return std::find(std::begin(words), std::end(words), key) != std::end(words);
}

void compare_env(const Env& before, const Env& after, std::vector<FieldChange>& fields) {
  for (const auto& [name, value] : before) {
    const std::string* now = find_variable(after, name);
    if (now == nullptr) fields.push_back({"env." + name, value, nullptr});
    if (now != nullptr && *now != value) fields.push_back({"env." + name, value, *now});
  }
  for (const auto& [name, value] : after) {
    if (find_variable(before, name) == nullptr) fields.push_back({"env." + name, nullptr, value});
  }
}

std::vector<FieldChange> compare(const PresentApp& present, const WantedApp& wanted, bool& recreate) {
  std::vector<FieldChange> fields;
  for (const OptionRow& row : options()) {
    if (among(kOutside, row.key)) continue;
    // Unless given it follows from whether a number of instances was, and scaling restarts nothing.
    const std::size_t i = index_of(row);
    if (row.key == "merge_logs" && !present.spec.given[i] && !wanted.spec.given[i]) continue;
    Value before = get(present.spec, row), after = get(wanted.spec, row);
    if (before == after) continue;
    recreate = recreate || among(kBornWith, row.key);
    fields.push_back({std::string(row.key), std::move(before), std::move(after)});
  }
  compare_env(present.spec.env, wanted.spec.env, fields);
  // Its values are kept nowhere, so they cannot be compared.
  if (present.since > 0 && wanted.env_file_changed > present.since &&
      present.spec.env_file == wanted.spec.env_file) {
    fields.push_back({"env_file", wanted.spec.env_file, "written since the start"});
  }
  return fields;
}

bool ends_by_itself(const AppSpec& spec) { return !spec.autorestart || !spec.stop_exit_codes.empty(); }

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// The app of that name that is nobody's yet; of several the one with the same script.
std::size_t counterpart(const std::vector<PresentApp>& present, const std::vector<bool>& taken,
                        const AppSpec& spec) {
  std::size_t found = kNone;
  for (std::size_t i = 0; i < present.size(); ++i) {
    if (taken[i] || present[i].spec.name != spec.name) continue;
    if (present[i].spec.script == spec.script) return i;
    if (found == kNone) found = i;
  }
  return found;
}

}  // namespace

std::vector<AppDifference> differences(const std::vector<PresentApp>& present,
                                       const std::vector<WantedApp>& wanted, std::string_view source) {
  using Kind = AppDifference::Kind;
  std::vector<AppDifference> found;
  std::vector<bool> taken(present.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const AppSpec& spec = wanted[i].spec;
    AppDifference d;
    d.name = spec.name;
    d.wanted = i;
    d.after = spec.instances;
    const std::size_t at = counterpart(present, taken, spec);
    if (at == kNone) {
      d.kind = Kind::added;
      found.push_back(std::move(d));
      continue;
    }
    taken[at] = true;
    const PresentApp& now = present[at];
    d.ids = now.ids;
    d.before = static_cast<int64_t>(now.ids.size());
    bool recreate = false;
    d.fields = compare(now, wanted[i], recreate);
    if (!d.fields.empty()) d.kind = recreate ? Kind::recreated : Kind::changed;
    if (spec.autostart && !ends_by_itself(spec)) d.down = now.down;
    found.push_back(std::move(d));
  }
  for (std::size_t i = 0; i < present.size() && !source.empty(); ++i) {
    if (taken[i] || present[i].spec.source != source) continue;
    AppDifference d;
    d.kind = Kind::removed;
    d.name = present[i].spec.name;
    d.ids = present[i].ids;
    d.before = static_cast<int64_t>(d.ids.size());
    found.push_back(std::move(d));
  }
  return found;
}

}  // namespace tend
