// How a line of a log is shown (compat.md 8.2).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cmd/render/colour.h"

namespace tend::cli {

struct LogSource {
  std::string path;
  std::string label;  // "0|api"
  std::string name;
  int64_t id = -1;  // -1: the daemon's own log
  bool error = false;
  render::Ink ink = render::Ink::green;
};

struct LogStyle {
  bool raw = false, json = false, colour = false;
  std::string highlight;
  std::string time_format;  // "": no time in front
  bool fields = false;      // timestamp=… app=… id=… type=… message=…
};

// "0|api     | text\n": the label is cut or padded to `width`.
std::string tail_line(const LogSource& source, std::string_view line, std::size_t width,
                      const LogStyle& style);
// A line of the stream, read at `wall_ms`.
std::string stream_line(const LogSource& source, std::string_view line, std::size_t width,
                        const LogStyle& style, int64_t wall_ms);
// day.js tokens YYYY MM DD HH mm ss SSS in local time; everything else as it is.
std::string format_time(std::string_view format, int64_t wall_ms);

}  // namespace tend::cli
