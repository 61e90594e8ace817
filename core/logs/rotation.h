// When a log file is put aside, under which name, and what becomes of those that were. The files belong to
// the log's writer; everything here runs on the pool.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/units.h"

namespace tend::logs {

struct RotationRules {
  int64_t max_size = 0;  // bytes from which the file is put aside; 0: never by its size
  int64_t retain = 0;    // how many are kept; 0: all
  bool compress = false;
  friend bool operator==(const RotationRules&, const RotationRules&) = default;
};

// "/x/api-out.log" -> "/x/api-out__2026-11-26_03-00-00.log", the form of pm2-logrotate (compat.md 11.5); `n`
// above 0 tells apart what was put aside within one second: "…_03-00-00-1.log".
std::string rotated_name(std::string_view path, Millis wall, int n);
// Whether `file` (a base name) was put aside from the log of that base name, compressed or not.
bool is_rotated(std::string_view file, std::string_view log);

// Renames the file to a rotated name that is not taken yet. The writer's descriptor goes with it. Error:
// errno.
Status put_aside(const std::string& path, Millis wall);
// Compresses what was put aside, if wanted, and removes the oldest beyond `retain`. Each ends whole or not at
// all: a crash leaves the plain file, or both. Problems are told by one line; what can be done is done.
Status tidy_rotated(const std::string& path, const RotationRules& rules);

}  // namespace tend::logs
