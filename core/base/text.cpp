#include "core/base/text.h"

#include <algorithm>
#include <numeric>

namespace tend {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0u : 1u)});
      diagonal = above;
    }
  }
  return row.back();
}

}  // namespace

std::string_view trim(std::string_view s) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto first = s.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(kBlank) - first + 1);
}

std::vector<std::string> split(std::string_view s, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const auto at = s.find(separator);
    parts.emplace_back(s.substr(0, at));
    if (at == std::string_view::npos) return parts;
    s.remove_prefix(at + 1);
  }
}

bool is_digits(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<Control> leading_control(std::string_view s) {
  if (s.empty()) return {};
  const auto u = static_cast<unsigned char>(s[0]);
  if (u < 0x20 || u == 0x7f) return Control{u, 1};
  const auto next = s.size() > 1 ? static_cast<unsigned char>(s[1]) : 0;
  if (u == 0xc2 && next >= 0x80 && next < 0xa0) return Control{static_cast<unsigned char>(next), 2};
  return {};
}

std::string printable(std::string_view s) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(s.size());
  while (!s.empty()) {
    const auto control = leading_control(s);
    if (!control) {
      out += s[0];
      s.remove_prefix(1);
      continue;
    }
    out += "\\x";
    out += kHex[control->code >> 4];
    out += kHex[control->code & 15];
    s.remove_prefix(control->bytes);
  }
  return out;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  std::string_view best;
  std::size_t least = std::min<std::size_t>(3, word.size());
  for (const std::string_view c : candidates) {
    const std::size_t d = edit_distance(word, c);
    if (d < least) {
      least = d;
      best = c;
    }
  }
  return best;
}

}  // namespace tend
