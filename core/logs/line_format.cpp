#include "core/logs/line_format.h"

#include <algorithm>
#include <cstring>

#include "core/base/date_format.h"

namespace tend::logs {
namespace {

constexpr std::string_view kFormatDate = "YYYY-MM-DD-HH:mm:ssZZ";  // compat.md 8.2

bool continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0u) == 0x80u; }

// Length of the valid UTF-8 sequence at the front (no overlong forms, no surrogates), 0 if there is none.
std::size_t utf8_length(std::string_view s) {
  const auto at = [&](std::size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
  const unsigned first = at(0);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const std::size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  const unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (at(1) < low || at(1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if (at(i) < 0x80 || at(i) > 0xbf) return 0;
  }
  return length;
}

// How much of `data` is the next line or part of one; 0: the rest of it is still to come.
std::size_t next_piece(std::string_view data, bool flush) {
  const std::string_view window = data.substr(0, kMaxLine);
  const void* newline = window.empty() ? nullptr : std::memchr(window.data(), '\n', window.size());
  if (newline != nullptr)
    return static_cast<std::size_t>(static_cast<const char*>(newline) - data.data()) + 1;
  if (data.size() > kMaxLine) {
    std::size_t cut = kMaxLine;  // not inside a character
    while (cut > kMaxLine - 4 && continuation(data[cut])) --cut;
    return continuation(data[cut]) ? kMaxLine : cut;
  }
  return flush ? data.size() : 0;
}

}  // namespace

void append_json(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  while (!text.empty()) {
    std::size_t plain = 0;
    while (plain < text.size()) {
      const auto c = static_cast<unsigned char>(text[plain]);
      if (c < 0x20 || c == '"' || c == '\\' || c >= 0x80) break;
      ++plain;
    }
    out.append(text.data(), plain);
    text.remove_prefix(plain);
    if (text.empty()) return;
    const char c = text.front();
    std::size_t used = 1;
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    } else if (const std::size_t length = utf8_length(text); length > 0) {
      out.append(text.data(), length);
      used = length;
    } else {
      out += "\xef\xbf\xbd";
    }
    text.remove_prefix(used);
  }
}

LineFormat::LineFormat(const StreamOptions& options, Channel channel)
    : form_(options.form), json_(options.json), date_format_(options.date_format) {
  const std::string id = std::to_string(options.process_id);
  if (form_ == Console::formatted) label_ = stamp_ = id + "|" + options.app_name + "  | ";
  if (form_ == Console::format) {
    label_ = " app=" + options.app_name + " id=" + id +
             (channel == Channel::out ? " type=out message=" : " type=error message=");
  }
  if (!json_) return;
  json_end_ = std::string("\",\"type\":\"") + (channel == Channel::out ? "out" : "err") +
              "\",\"process_id\":" + std::to_string(options.process_id) + ",\"app_name\":\"";
  append_json(options.app_name, json_end_);
  json_end_ += "\"}\n";
}

void LineFormat::set_time(Millis wall) {
  if (form_ == Console::format) {
    stamp_ = "timestamp=" + format_date(wall, date_format_.empty() ? kFormatDate : date_format_) + label_;
  } else if (json_) {
    stamp_.clear();
    append_json(date_format_.empty() ? iso_utc(wall) : format_date(wall, date_format_), stamp_);
  } else if (!date_format_.empty()) {
    stamp_ = format_date(wall, date_format_) + ": " + label_;
  }
}

void StreamOptions::show(Console console, Channel channel) {
  const std::string own = console == Console::raw && channel == Channel::err ? "/dev/stderr" : "/dev/stdout";
  if (path == "/dev/stdout" || path == "/dev/stderr") return;
  if (combined.empty() && path != "/dev/null") combined = path;
  path = own;
  form = console;
  json = json || console == Console::json;
}

std::size_t LineFormat::format(std::string_view data, bool flush, bool& continued, std::string& out) const {
  std::size_t used = 0;
  while (used < data.size() && out.size() < kMaxBatch) {
    const std::size_t length = next_piece(data.substr(used), flush);
    if (length == 0) break;
    const std::string_view piece = data.substr(used, length);
    if (json_) {
      out += "{\"message\":\"";
      // On a console an object is a line; in a file its message keeps the newline (compat.md 8.1, 8.2).
      const bool chomp = form_ == Console::json && piece.back() == '\n';
      append_json(piece.substr(0, piece.size() - (chomp ? 1 : 0)), out);
      out += "\",\"timestamp\":\"";
      out += stamp_;
      out += json_end_;
    } else {
      if (!continued) out += stamp_;
      out += piece;
    }
    continued = piece.back() != '\n';
    used += length;
    if (continued && flush && used == data.size() && form_ > Console::raw && !json_) {
      out += '\n';  // the next line on the console is another app's
      continued = false;
    }
  }
  return used;
}

}  // namespace tend::logs
