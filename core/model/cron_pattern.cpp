#include "core/model/cron_pattern.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/text.h"

namespace tend {
namespace {

constexpr std::string_view kMonths[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                        "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::string_view kDays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Field {
  std::string_view name;
  int lowest, highest;
  std::string_view accepted;
  std::span<const std::string_view> words;  // the first one means `lowest`
};
const Field kFields[] = {
    {"second", 0, 59, "0-59", {}},
    {"minute", 0, 59, "0-59", {}},
    {"hour", 0, 23, "0-23", {}},
    {"day of month", 1, 31, "1-31", {}},
    {"month", 1, 12, "1-12 or jan-dec", kMonths},
    {"day of week", 0, 7, "0-7 (0 and 7 are Sunday) or sun-sat", kDays},
};

tl::unexpected<Error> bad(const Field& f, std::string_view found) {
  return fail("cron field \"" + std::string(f.name) + "\": found \"" + printable(found) + "\"; accepted " +
              std::string(f.accepted));
}

std::optional<int> number(std::string_view text) {
  if (!is_digits(text) || text.size() > 4) return std::nullopt;
  int n = 0;
  for (const char c : text) n = n * 10 + (c - '0');
  return n;
}

std::optional<int> value(const Field& f, std::string_view text) {
  if (const auto n = number(text)) return *n >= f.lowest && *n <= f.highest ? n : std::nullopt;
  std::string word(text);
  for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const auto at = std::find(f.words.begin(), f.words.end(), word);
  if (at == f.words.end()) return std::nullopt;
  return f.lowest + static_cast<int>(at - f.words.begin());
}

// One element of a list: "*", "5", "1-5", each with "/2". Calls set(n) for each number it means.
template <class Set>
Status element(const Field& f, std::string_view text, Set set) {
  const auto slash = text.find('/');
  const std::string_view range = text.substr(0, slash);
  int step = 1;
  if (slash != std::string_view::npos) {
    const auto n = number(text.substr(slash + 1));
    if (!n || *n < 1 || *n > f.highest)
      return fail("cron field \"" + std::string(f.name) + "\": found \"" + printable(text) +
                  "\"; accepted a step of 1-" + std::to_string(f.highest));
    step = *n;
  }
  int first = f.lowest;
  int last = f.highest;
  const bool weekday = f.highest == 7;
  if (range == "*" || range == "?") {
    if (weekday) last = 6;  // or */2 would take Sunday twice, as 0 and never as 7
  } else {
    const auto dash = range.find('-');
    const auto from = value(f, range.substr(0, dash));
    if (!from) return bad(f, text);
    first = *from;
    if (dash != std::string_view::npos) {
      auto to = value(f, range.substr(dash + 1));
      if (to && weekday && *to == 0 && first > 0) to = 7;  // fri-sun
      if (!to || *to < first) return bad(f, text);
      last = *to;
    } else if (slash == std::string_view::npos) {
      last = first;
    }
  }
  for (int n = first; n <= last; n += step) set(n);
  return {};
}

template <std::size_t N>
Status field(const Field& f, std::string_view text, std::bitset<N>& into) {
  for (const std::string& part : split(text, ',')) {
    auto ok = element(f, part, [&](int n) {
      const auto bit = static_cast<std::size_t>(n);
      into.set(bit < N ? bit : 0);  // 7 is Sunday too
    });
    if (!ok) return ok;
  }
  return {};
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  constexpr std::string_view kSpace = " \t\r\n";
  while (words.size() <= std::size(kFields)) {
    const auto begin = text.find_first_not_of(kSpace);
    if (begin == std::string_view::npos) break;
    text.remove_prefix(begin);
    words.push_back(text.substr(0, text.find_first_of(kSpace)));
    text.remove_prefix(words.back().size());
  }
  return words;
}

// cron(8) calls a day field unrestricted when it begins with a star, a step included.
bool unrestricted(std::string_view text) { return text.front() == '*' || text.front() == '?'; }

struct Macro {
  std::string_view name, fields;
};
constexpr Macro kMacros[] = {{"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"},
                             {"@weekly", "0 0 * * 0"},   {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
                             {"@annually", "0 0 1 1 *"}};

// Cuts "TZ=zone " off the front.
Result<std::string> take_zone(std::string_view& text) {
  const auto begin = std::min(text.find_first_not_of(" \t"), text.size());
  std::string_view rest = text.substr(begin);
  if (rest.starts_with("CRON_TZ="))
    rest.remove_prefix(8);
  else if (rest.starts_with("TZ="))
    rest.remove_prefix(3);
  else
    return std::string();
  const std::string_view zone = rest.substr(0, rest.find_first_of(" \t"));
  if (!is_zone_name(zone))
    return fail("cron pattern: found the time zone \"" + printable(zone) + "\"; accepted a name as Europe/Berlin");
  text = rest.substr(zone.size());
  return std::string(zone);
}

}  // namespace

bool is_zone_name(std::string_view text) {
  if (text.empty() || text.size() > 100 || text.front() == '/' || text.find("..") != std::string_view::npos)
    return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '/' || c == '_' || c == '-' || c == '+';
  });
}

Result<CronPattern> parse_cron(std::string_view text) {
  if (text.size() > 1024) return fail("cron pattern: longer than 1024 characters");
  auto zone = take_zone(text);
  if (!zone) return tl::unexpected(zone.error());
  auto words = words_of(text);
  if (words.size() == 1 && words[0].starts_with('@')) {
    const auto macro = std::find_if(std::begin(kMacros), std::end(kMacros),
                                    [&](const Macro& m) { return m.name == words[0]; });
    if (macro == std::end(kMacros))
      return fail("cron pattern: found \"" + printable(words[0]) +
                  "\"; accepted @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually");
    words = words_of(macro->fields);
  }
  if (words.size() != 5 && words.size() != 6)
    return fail(
        "cron pattern: found \"" + printable(text) +
        "\"; accepted 5 fields (minute hour day-of-month month day-of-week), or 6 with seconds first");
  if (words.size() == 5) words.insert(words.begin(), "0");

  CronPattern p;
  p.zone = std::move(*zone);
  Status ok = field(kFields[0], words[0], p.seconds);
  if (ok) ok = field(kFields[1], words[1], p.minutes);
  if (ok) ok = field(kFields[2], words[2], p.hours);
  if (ok) ok = field(kFields[3], words[3], p.days);
  if (ok) ok = field(kFields[4], words[4], p.months);
  if (ok) ok = field(kFields[5], words[5], p.weekdays);
  if (!ok) return tl::unexpected(ok.error());
  p.any_day = unrestricted(words[3]);
  p.any_weekday = unrestricted(words[5]);
  return p;
}

}  // namespace tend
