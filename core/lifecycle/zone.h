// A time zone as data: when the clocks of a place were and will be changed. Read from a file of the time zone
// database (RFC 8536); who reads the file is somebody else, so nothing here blocks or looks at TZ.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace tend::lifecycle {

// A day of the year on which clocks change, as POSIX writes it: "M3.5.0/2", "J60", "59".
struct ChangeDay {
  enum class Kind : uint8_t { week, julian, zero_based } kind = Kind::week;
  int month = 0, week = 0, day = 0;
  int64_t seconds = 7200;  // after local midnight; may be negative or above a day
};

// What holds after the last change that the file lists: "CET-1CEST,M3.5.0,M10.5.0/3".
struct ZoneRule {
  int64_t standard = 0, summer = 0;  // seconds east
  bool changes = false;
  ChangeDay begin, end;  // of summer time
};
std::optional<ZoneRule> parse_zone_rule(std::string_view text);

class Zone {
 public:
  static Result<Zone> parse(std::string_view file);
  int64_t offset_at(int64_t instant) const;  // seconds east of UTC

 private:
  struct Change {
    int64_t at = 0;
    int64_t offset = 0;  // from then on
  };
  int64_t before_ = 0;  // the first change
  std::vector<Change> changes_;
  std::optional<ZoneRule> rule_;
};

}  // namespace tend::lifecycle
