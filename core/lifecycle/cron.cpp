#include "core/lifecycle/cron.h"

#include <chrono>
#include <cstddef>
#include <ctime>

namespace tend::lifecycle {
namespace {

using std::chrono::sys_days;
using std::chrono::year_month_day;

// What a clock on the wall shows.
struct WallTime {
  sys_days day{};
  std::size_t hour = 0, minute = 0, second = 0;
};

WallTime wall_of(int64_t local) {  // seconds, counted as if they were UTC
  const int64_t in_day = ((local % 86400) + 86400) % 86400;
  return {sys_days{std::chrono::days{(local - in_day) / 86400}}, static_cast<std::size_t>(in_day / 3600),
          static_cast<std::size_t>(in_day / 60 % 60), static_cast<std::size_t>(in_day % 60)};
}

int64_t as_if_utc(const WallTime& w) {
  return int64_t{w.day.time_since_epoch().count()} * 86400 + static_cast<int64_t>(w.hour) * 3600 +
         static_cast<int64_t>(w.minute) * 60 + static_cast<int64_t>(w.second);
}

int64_t offset_at(const Zone* zone, int64_t instant) {
  if (zone != nullptr) return zone->offset_at(instant);
  const auto t = static_cast<std::time_t>(instant);
  std::tm out{};
  localtime_r(&t, &out);
  return out.tm_gmtoff;
}

// The first instant in (low, high] at which the offset is no longer that of `low`. REQUIRES: there is one.
int64_t change_between(const Zone* zone, int64_t low, int64_t high) {
  const int64_t before = offset_at(zone, low);
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (offset_at(zone, middle) == before ? low : high) = middle;
  }
  return high;
}

// The instant at which the clock first shows `w`; when it never does, the end of the gap. Never decreases
// with `w`.
int64_t instant_of(const Zone* zone, const WallTime& w) {
  constexpr int64_t kDay = 86400;
  const int64_t utc = as_if_utc(w);
  const int64_t before = offset_at(zone, utc - kDay);
  const int64_t after = offset_at(zone, utc + kDay);
  if (before == after) return utc - before;
  if (offset_at(zone, utc - before) == before) return utc - before;  // the earlier one of two
  if (offset_at(zone, utc - after) == after) return utc - after;
  return change_between(zone, utc - after, utc - before);
}

template <std::size_t N>
std::size_t next_set(const std::bitset<N>& bits, std::size_t from) {  // N: none
  while (from < N && !bits.test(from)) ++from;
  return from;
}

// The first matching time of day not before `w`'s; false: none is left today.
bool match_time(const CronPattern& p, WallTime& w) {
  const std::size_t hour = next_set(p.hours, w.hour);
  if (hour != w.hour) w.minute = w.second = 0;
  w.hour = hour;
  if (w.hour == p.hours.size()) return false;
  const std::size_t minute = next_set(p.minutes, w.minute);
  if (minute != w.minute) w.second = 0;
  w.minute = minute;
  if (w.minute < p.minutes.size()) {
    w.second = next_set(p.seconds, w.second);
    if (w.second < p.seconds.size()) return true;
    w.minute += 1;
    w.second = 0;
    if (w.minute < p.minutes.size()) return match_time(p, w);
  }
  w.hour += 1;
  w.minute = w.second = 0;
  return w.hour < p.hours.size() && match_time(p, w);
}

bool match_day(const CronPattern& p, sys_days day) {
  const bool by_date = p.days.test(static_cast<unsigned>(year_month_day{day}.day()));
  const bool by_weekday = p.weekdays.test(std::chrono::weekday{day}.c_encoding());
  return p.any_day || p.any_weekday ? by_date && by_weekday : by_date || by_weekday;
}

// The first match not before `w` and not after `last`.
bool match(const CronPattern& p, WallTime& w, sys_days last) {
  while (w.day <= last) {
    const year_month_day date{w.day};
    if (!p.months.test(static_cast<unsigned>(date.month()))) {
      w = {sys_days{(date.year() / date.month() + std::chrono::months{1}) / 1}};
      continue;
    }
    if (match_day(p, w.day) && match_time(p, w)) return true;
    w = {w.day + std::chrono::days{1}};
  }
  return false;
}

// The end of the search: dates that are eight years apart, as 29 February may be.
sys_days last_day(const WallTime& w) {
  const year_month_day today{w.day};
  return sys_days{today.year() / today.month() / 1} + std::chrono::days{8 * 366 + 31};
}

// As time passes: the clock is read with one offset up to its next change, and from there with the new one.
std::optional<int64_t> next_in_time(const CronPattern& pattern, int64_t after, const Zone* zone) {
  int64_t from = after + 1;
  const sys_days last = last_day(wall_of(from));
  while (true) {
    const int64_t offset = offset_at(zone, from);
    WallTime w = wall_of(from + offset);
    if (!match(pattern, w, last)) return std::nullopt;
    const int64_t at = as_if_utc(w) - offset;
    if (offset_at(zone, at) == offset) return at;
    from = change_between(zone, from, at);
  }
}

}  // namespace

std::optional<int64_t> next_due(const CronPattern& pattern, int64_t after, const Zone* zone) {
  if (pattern.hours.all()) return next_in_time(pattern, after, zone);
  WallTime w = wall_of(after + offset_at(zone, after));
  const sys_days last = last_day(w);
  do {
    w = wall_of(as_if_utc(w) + 1);
    if (!match(pattern, w, last)) return std::nullopt;
  } while (instant_of(zone, w) <= after);  // in the second pass of a repeated hour: it ran in the first
  return instant_of(zone, w);
}

}  // namespace tend::lifecycle
