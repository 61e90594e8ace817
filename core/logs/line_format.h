// How a line looks in a log file (compat.md 8.1): `<date>: <line>`, one JSON object per line, or the line
// itself.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/logs/sink.h"

namespace tend::logs {

inline constexpr std::size_t kMaxLine = 64u << 10;  // a longer one is split; only its first part gets a date
inline constexpr std::size_t kMaxBatch = 1u << 20;  // formatted bytes after which one call ends

// Appends `text` as the inside of a JSON string; invalid UTF-8 becomes U+FFFD.
void append_json(std::string_view text, std::string& out);

class LineFormat {
 public:
  LineFormat(const StreamOptions& options, Channel channel);
  void set_time(Millis wall);  // costs a microsecond: once per batch
  // Appends whole lines of `data` to `out`, with `flush` also what is left without a newline. Returns how
  // many bytes were used, at most a batch's worth. `continued`: `data` begins, and then ends, inside a line.
  std::size_t format(std::string_view data, bool flush, bool& continued, std::string& out) const;

 private:
  Console form_;
  bool json_;
  std::string date_format_;
  std::string label_;     // "0|api  | "
  std::string json_end_;  // after the time stamp
  std::string stamp_;     // what a line begins with, or the JSON time stamp
};

}  // namespace tend::logs
