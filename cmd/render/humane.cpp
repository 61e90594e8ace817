#include "cmd/render/humane.h"

#include <cmath>
#include <cstdio>
#include <ctime>

namespace tend::render {

std::string uptime_text(Millis age) {
  const int64_t s = age.n < 0 ? 0 : age.n / 1000;
  const int64_t minutes = s / 60, hours = minutes / 60, days = hours / 24;
  if (s < 120) return std::to_string(s) + "s";
  if (minutes < 120) return std::to_string(minutes) + "m";
  if (hours < 48) return std::to_string(hours) + "h";
  if (days < 60) return std::to_string(days) + "D";
  if (days < 730) return std::to_string(days / 30) + "M";
  return std::to_string(days / 365) + "Y";
}

std::string memory_text(int64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes < 0 ? 0 : bytes) + "b";
  constexpr const char* kUnits[] = {"kb", "mb", "gb", "tb"};
  double size = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (size >= 1024 && unit + 1 < std::size(kUnits)) {
    size /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.1f%s", size, kUnits[unit]);
  return text;
}

std::string cpu_text(double percent) {
  const double tenths = std::round(percent * 10);
  char text[32];
  if (std::fmod(tenths, 10) == 0) {
    std::snprintf(text, sizeof text, "%.0f%%", tenths / 10);
  } else {
    std::snprintf(text, sizeof text, "%.1f%%", tenths / 10);
  }
  return text;
}

std::string iso_text(Millis wall) {
  const time_t seconds = static_cast<time_t>(wall.n / 1000);
  tm parts{};
  if (gmtime_r(&seconds, &parts) == nullptr) return "N/A";
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
                parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                static_cast<int>(wall.n % 1000));
  return text;
}

}  // namespace tend::render
