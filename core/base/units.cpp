#include "core/base/units.h"

#include <cctype>
#include <charconv>
#include <cmath>

namespace tend {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr Unit kTimes[] = {{"", 1}, {"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
constexpr Unit kSizes[] = {{"", 1},          {"b", 1},           {"k", 1024.0},      {"kb", 1024.0},
                           {"kib", 1024.0},  {"m", 1048576.0},   {"mb", 1048576.0},  {"mib", 1048576.0},
                           {"g", 1073741824.0}, {"gb", 1073741824.0}, {"gib", 1073741824.0}};

template <std::size_t N>
bool read_quantity(std::string_view text, const Unit (&units)[N], int64_t& out) {
  double number = 0;
  const auto* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error != std::errc{} || number < 0) return false;
  std::string unit(rest, end);
  for (char& c : unit) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  while (!unit.empty() && unit.front() == ' ') unit.erase(0, 1);
  for (const Unit& u : units) {
    if (u.name != unit) continue;
    const double value = std::round(number * u.factor);
    if (!(value < 9e15)) return false;  // beyond exact integers of a double
    out = static_cast<int64_t>(value);
    return true;
  }
  return false;
}

}  // namespace

Result<Millis> parse_millis(std::string_view text) {
  Millis t;
  if (!read_quantity(text, kTimes, t.n)) return fail("a number with ms, s, m, h or d, or bare milliseconds");
  return t;
}

Result<Bytes> parse_bytes(std::string_view text) {
  Bytes b;
  if (!read_quantity(text, kSizes, b.n)) return fail("a number with K, M or G, or bare bytes");
  return b;
}

std::string show(Millis t) {
  if (t.n == 0) return "0";
  if (t.n % 3600000 == 0) return std::to_string(t.n / 3600000) + "h";
  if (t.n % 60000 == 0) return std::to_string(t.n / 60000) + "m";
  if (t.n % 1000 == 0) return std::to_string(t.n / 1000) + "s";
  return std::to_string(t.n) + "ms";
}

std::string show(Bytes b) {
  if (b.n != 0 && b.n % 1073741824 == 0) return std::to_string(b.n / 1073741824) + "G";
  if (b.n != 0 && b.n % 1048576 == 0) return std::to_string(b.n / 1048576) + "M";
  if (b.n != 0 && b.n % 1024 == 0) return std::to_string(b.n / 1024) + "K";
  return std::to_string(b.n);
}

}  // namespace tend
