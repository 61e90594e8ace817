#include "cmd/serve/conditions.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>

#include "core/base/text.h"

namespace tend::serve {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return (x >= 'A' && x <= 'Z' ? x + 32 : x) == y; });
}

// The next element of a list, without blanks; `rest` goes on behind its comma.
std::string_view next_element(std::string_view& rest, char separator) {
  const std::size_t at = rest.find(separator);
  const std::string_view element = trim(rest.substr(0, at));
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return element;
}

// "q=0", "q=0.000"
bool refused(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::string_view one = next_element(parameters, ';');
    if (one.size() < 3 || !same_word(one.substr(0, 2), "q=")) continue;
    return one.substr(2).find_first_not_of("0.") == std::string_view::npos;
  }
  return false;
}

bool matches(std::string_view list, std::string_view etag) {
  if (trim(list) == "*") return true;
  while (!list.empty()) {
    std::string_view one = next_element(list, ',');
    if (one.substr(0, 2) == "W/") one.remove_prefix(2);
    if (one == etag) return true;
  }
  return false;
}

std::optional<uint64_t> number(std::string_view text) {
  uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

// False: it is no single range of bytes, and so is not there.
bool parse_range(std::string_view text, uint64_t size, Portion& out) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || !same_word(trim(text.substr(0, equals)), "bytes")) return false;
  const std::string_view spec = trim(text.substr(equals + 1));
  const std::size_t dash = spec.find('-');
  if (dash == std::string_view::npos) return false;
  const std::string_view from = trim(spec.substr(0, dash)), to = trim(spec.substr(dash + 1));
  const auto first = number(from), last = number(to);
  if ((!from.empty() && !first) || (!to.empty() && !last) || (!first && !last)) return false;
  if (first && last && *last < *first) return false;
  out.status = 206;
  if (!first) {  // the last n bytes
    out.length = std::min(*last, size);
    out.first = size - out.length;
    if (out.length == 0) out.status = 416;
  } else if (*first >= size) {
    out.status = 416;
  } else {
    out.first = *first;
    out.length = (last ? std::min(*last, size - 1) : size - 1) - *first + 1;
  }
  return true;
}

bool range_holds(std::string_view if_range, const Version& version) {
  if (if_range.empty()) return true;
  if (if_range.front() == '"') return if_range == version.etag;
  const auto date = parse_http_date(if_range);
  return date && *date == version.modified;
}

}  // namespace

uint8_t accepted_encodings(std::string_view rest) {
  uint8_t yes = 0, no = 0;
  bool others = false;
  while (!rest.empty()) {
    std::string_view one = next_element(rest, ',');
    const std::string_view word = next_element(one, ';');
    const bool not_this = refused(one);
    if (word == "*") {
      others = !not_this;
      continue;
    }
    const uint8_t bit = same_word(word, "br")                                  ? kBrotli
                        : same_word(word, "gzip") || same_word(word, "x-gzip") ? kGzip
                                                                               : kPlain;
    (not_this ? no : yes) |= bit;
  }
  if (others) yes |= static_cast<uint8_t>(kBrotli | kGzip);
  return yes & static_cast<uint8_t>(~no);
}

std::string make_etag(uint64_t inode, int64_t seconds, int64_t nanoseconds, uint64_t size) {
  char text[80];
  std::snprintf(text, sizeof text, "\"%llx-%llx.%llx-%llx\"", static_cast<unsigned long long>(inode),
                static_cast<unsigned long long>(seconds), static_cast<unsigned long long>(nanoseconds),
                static_cast<unsigned long long>(size));
  return text;
}

std::string http_date(int64_t seconds) {
  const time_t t = seconds;
  std::tm tm{};
  if (gmtime_r(&t, &tm) == nullptr || tm.tm_year + 1900 > 9999 || tm.tm_year < 0) return http_date(0);
  char text[64];
  std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                kDays[static_cast<std::size_t>(tm.tm_wday)].data(), tm.tm_mday,
                kMonths[static_cast<std::size_t>(tm.tm_mon)].data(), tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
                tm.tm_sec);
  return text;
}

std::optional<int64_t> parse_http_date(std::string_view text) {
  const std::string copy(text.substr(0, 64));
  char month[4] = {};
  std::tm tm{};
  int used = 0;
  if (std::sscanf(copy.c_str(), "%*3[A-Za-z], %2d %3s %4d %2d:%2d:%2d GMT%n", &tm.tm_mday, month, &tm.tm_year,
                  &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) == 6 &&
      used > 0) {
    tm.tm_year -= 1900;
  } else if (std::sscanf(copy.c_str(), "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &tm.tm_mday,
                         month, &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) == 6 &&
             used > 0) {
    tm.tm_year += tm.tm_year < 70 ? 100 : 0;
  } else if (std::sscanf(copy.c_str(), "%*3[A-Za-z] %3s %2d %2d:%2d:%2d %4d%n", month, &tm.tm_mday,
                         &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &tm.tm_year, &used) == 6 &&
             used > 0) {
    tm.tm_year -= 1900;
  } else {
    return std::nullopt;
  }
  const auto at = std::find(kMonths.begin(), kMonths.end(), month);
  if (at == kMonths.end() || static_cast<std::size_t>(used) != copy.size()) return std::nullopt;
  tm.tm_mon = static_cast<int>(at - kMonths.begin());
  return timegm(&tm);
}

Portion portion(const RequestHead& head, const Version& version) {
  Portion all{200, 0, version.size};
  const auto since = parse_http_date(head.if_modified_since);
  const bool unchanged = !head.if_none_match.empty() ? matches(head.if_none_match, version.etag)
                                                     : since && version.modified <= *since;
  if (unchanged) return {304, 0, 0};
  Portion part;
  if (head.range.empty() || !range_holds(head.if_range, version) ||
      !parse_range(head.range, version.size, part))
    return all;
  return part;
}

bool authorized(std::string_view authorization, std::string_view credentials) {
  authorization = trim(authorization);
  if (authorization.size() < 6 || !same_word(authorization.substr(0, 6), "basic ")) return false;
  const std::string_view given = trim(authorization.substr(6));
  unsigned difference = given.size() == credentials.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const char right = credentials.empty() ? '\0' : credentials[i % credentials.size()];
    difference |=
        static_cast<unsigned>(static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(right));
  }
  return difference == 0;
}

}  // namespace tend::serve
