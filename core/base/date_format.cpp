#include "core/base/date_format.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace tend {
namespace {

constexpr std::array<std::string_view, 12> kMonths{"January",   "February", "March",    "April",
                                                   "May",       "June",     "July",     "August",
                                                   "September", "October",  "November", "December"};
constexpr std::array<std::string_view, 7> kDays{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                "Thursday", "Friday", "Saturday"};
// A longer token stands before its own prefix.
constexpr std::array<std::string_view, 26> kTokens{
    "YYYY", "YY", "MMMM", "MMM", "MM", "M",  "DD", "D",   "dddd", "ddd", "dd", "d", "HH",
    "H",    "hh", "h",    "mm",  "m",  "ss", "s",  "SSS", "A",    "a",   "ZZ", "Z", "x"};

std::string padded(int64_t n, int width) {
  char text[24];
  std::snprintf(text, sizeof text, "%0*lld", width, static_cast<long long>(n));
  return text;
}

std::string offset(const std::tm& t, const char* between) {
  const long minutes = t.tm_gmtoff / 60;
  return (minutes < 0 ? "-" : "+") + padded(std::labs(minutes) / 60, 2) + between +
         padded(std::labs(minutes) % 60, 2);
}

std::string expand(std::string_view token, const std::tm& t, Millis wall, int64_t ms) {
  const int hour12 = t.tm_hour % 12 == 0 ? 12 : t.tm_hour % 12;
  const auto month = kMonths[static_cast<std::size_t>(t.tm_mon)];
  const auto day = kDays[static_cast<std::size_t>(t.tm_wday)];
  if (token == "YYYY") return padded(t.tm_year + 1900, 4);
  if (token == "YY") return padded(t.tm_year % 100, 2);
  if (token == "MMMM") return std::string(month);
  if (token == "MMM") return std::string(month.substr(0, 3));
  if (token == "MM") return padded(t.tm_mon + 1, 2);
  if (token == "M") return padded(t.tm_mon + 1, 1);
  if (token == "DD") return padded(t.tm_mday, 2);
  if (token == "D") return padded(t.tm_mday, 1);
  if (token == "dddd") return std::string(day);
  if (token == "ddd") return std::string(day.substr(0, 3));
  if (token == "dd") return std::string(day.substr(0, 2));
  if (token == "d") return padded(t.tm_wday, 1);
  if (token == "HH") return padded(t.tm_hour, 2);
  if (token == "H") return padded(t.tm_hour, 1);
  if (token == "hh") return padded(hour12, 2);
  if (token == "h") return padded(hour12, 1);
  if (token == "mm") return padded(t.tm_min, 2);
  if (token == "m") return padded(t.tm_min, 1);
  if (token == "ss") return padded(t.tm_sec, 2);
  if (token == "s") return padded(t.tm_sec, 1);
  if (token == "SSS") return padded(ms, 3);
  if (token == "A") return t.tm_hour < 12 ? "AM" : "PM";
  if (token == "a") return t.tm_hour < 12 ? "am" : "pm";
  if (token == "Z") return offset(t, ":");
  if (token == "ZZ") return offset(t, "");
  return std::to_string(wall.n);
}

int64_t millisecond(Millis wall) { return ((wall.n % 1000) + 1000) % 1000; }
std::time_t second(Millis wall) { return static_cast<std::time_t>((wall.n - millisecond(wall)) / 1000); }

}  // namespace

std::string format_date(Millis wall, std::string_view format) {
  const std::time_t at = second(wall);
  std::tm t{};
  ::localtime_r(&at, &t);
  std::string text;
  while (!format.empty()) {
    if (format.front() == '[') {
      if (const std::size_t end = format.find(']'); end != std::string_view::npos) {
        text += format.substr(1, end - 1);
        format.remove_prefix(end + 1);
        continue;
      }
    }
    if (format.front() == 'X') {
      text += std::to_string(static_cast<int64_t>(at));
      format.remove_prefix(1);
      continue;
    }
    bool matched = false;
    for (const std::string_view token : kTokens) {
      if (format.substr(0, token.size()) != token) continue;
      text += expand(token, t, wall, millisecond(wall));
      format.remove_prefix(token.size());
      matched = true;
      break;
    }
    if (matched) continue;
    text += format.front();
    format.remove_prefix(1);
  }
  return text;
}

std::string iso_utc(Millis wall) {
  const std::time_t at = second(wall);
  std::tm t{};
  ::gmtime_r(&at, &t);
  char text[80];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", t.tm_year + 1900, t.tm_mon + 1,
                t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, static_cast<int>(millisecond(wall)));
  return text;
}

}  // namespace tend
