// What a file of apps would change of those that run: one pure function, which `diff` shows and `apply`
// carries out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/app_spec.h"

namespace tend {

// One app that is there, with all its processes.
struct PresentApp {
  AppSpec spec;
  std::vector<uint32_t> ids;   // that count as its instances: no spare, no canary
  std::vector<uint32_t> down;  // those of them that are stopped or errored
  int64_t since = 0;           // when the oldest process began, ms since the epoch; 0: none runs
};

// One app of the file, resolved.
struct WantedApp {
  AppSpec spec;
  int64_t env_file_changed = 0;  // when its env_file was written, ms since the epoch; 0: it has none
};

struct FieldChange {
  std::string field;    // the option's key; of a variable "env.NAME"
  Value before, after;  // null: there is none
};

struct AppDifference {
  enum class Kind : uint8_t {
    same,
    added,      // is not there
    changed,    // fields; its processes are replaced
    recreated,  // fields that a process slot is born with: it is deleted and started
    removed,    // the file had started it and names it no more
  };
  Kind kind = Kind::same;
  std::string name;
  std::vector<FieldChange> fields;
  std::vector<uint32_t> ids;      // of what is there
  std::vector<uint32_t> down;     // those to be started, as they are stopped or errored
  int64_t before = 0, after = 0;  // number of instances
  std::size_t wanted = 0;         // its place in the file, unless removed
  bool none() const { return kind == Kind::same && down.empty() && before == after; }
};

// In the order of the file, then what was removed from it, which is told for the apps whose source is
// `source` alone. An app that ended by itself and was to (autorestart false, stop_exit_codes) is not down.
std::vector<AppDifference> differences(const std::vector<PresentApp>& present,
                                       const std::vector<WantedApp>& wanted, std::string_view source);

}  // namespace tend
