#include "cmd/tend/log_printer.h"

#include <cstdio>
#include <ctime>

#include "cmd/render/humane.h"
#include "cmd/render/width.h"
#include "core/base/date_format.h"
#include "core/base/text.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

std::string marked(std::string_view line, const LogStyle& style) {
  if (style.highlight.empty() || !style.colour) return std::string(line);
  std::string out;
  for (std::size_t at = 0;;) {
    const std::size_t found = line.find(style.highlight, at);
    out += line.substr(at, found - at);
    if (found == std::string_view::npos) return out;
    out += render::paint(render::Ink::inverse, style.highlight, true);
    at = found + style.highlight.size();
  }
}

std::string json_line(const LogSource& source, std::string_view line, int64_t wall_ms) {
  Map m{{"message", line}};
  if (wall_ms > 0) m.set("timestamp", render::iso_text(Millis{wall_ms}));
  m.set("type", source.id < 0 ? "PM2" : source.error ? "err" : "out");
  m.set("process_id", source.id < 0 ? Value("PM2") : Value(source.id));
  m.set("app_name", source.name);
  return ipc::to_json(m) + "\n";
}

std::string fields_line(const LogSource& source, std::string_view line, int64_t wall_ms) {
  return "timestamp=" + format_date(Millis{wall_ms}, "YYYY-MM-DD-HH:mm:ssZZ") +
         " app=" + (source.id < 0 ? "pm2" : source.name) +
         " id=" + (source.id < 0 ? "PM2" : std::to_string(source.id)) +
         " type=" + (source.error ? "error" : "out") + " message=" + std::string(line) + "\n";
}

std::string prefixed(const LogSource& source, std::string_view line, std::size_t width,
                     const LogStyle& style) {
  return render::paint(source.ink, render::pad(source.label, width) + " | ", style.colour) +
         marked(line, style) + "\n";
}

}  // namespace

std::string format_time(std::string_view format, int64_t wall_ms) {
  const time_t seconds = static_cast<time_t>(wall_ms / 1000);
  tm t{};
  if (::localtime_r(&seconds, &t) == nullptr) return "";
  struct Token {
    std::string_view name;
    int value, digits;
  };
  const Token tokens[] = {{"YYYY", t.tm_year + 1900, 4},
                          {"SSS", static_cast<int>(wall_ms % 1000), 3},
                          {"MM", t.tm_mon + 1, 2},
                          {"DD", t.tm_mday, 2},
                          {"HH", t.tm_hour, 2},
                          {"mm", t.tm_min, 2},
                          {"ss", t.tm_sec, 2}};
  std::string out;
  for (std::size_t at = 0; at < format.size();) {
    bool known = false;
    for (const Token& token : tokens) {
      if (format.substr(at, token.name.size()) != token.name) continue;
      char digits[16];
      std::snprintf(digits, sizeof digits, "%0*d", token.digits, token.value);
      out += digits;
      at += token.name.size();
      known = true;
      break;
    }
    if (!known) out += format[at++];
  }
  return out;
}

std::string tail_line(const LogSource& source, std::string_view line, std::size_t width,
                      const LogStyle& style) {
  if (style.json) return json_line(source, line, 0);
  if (style.raw) return std::string(line) + "\n";
  return prefixed(source, line, width, style);
}

std::string stream_line(const LogSource& source, std::string_view line, std::size_t width,
                        const LogStyle& style, int64_t wall_ms) {
  if (style.json) return json_line(source, line, wall_ms);
  if (style.fields) return fields_line(source, line, wall_ms);
  if (style.raw) return std::string(line) + "\n";
  const std::string time = style.time_format.empty() ? "" : format_time(style.time_format, wall_ms) + ": ";
  return render::paint(render::Ink::grey, time, style.colour) + prefixed(source, line, width, style);
}

}  // namespace tend::cli
