#include "core/lifecycle/zone.h"

#include <algorithm>
#include <chrono>

namespace tend::lifecycle {
namespace {

constexpr std::size_t kHeader = 44;
constexpr std::size_t kMaxChanges = 10000;

int64_t big_endian(std::string_view bytes) {
  uint64_t n = 0;
  for (const char c : bytes) n = n << 8 | static_cast<unsigned char>(c);
  if (bytes.size() == 4) return static_cast<int32_t>(static_cast<uint32_t>(n));
  return static_cast<int64_t>(n);
}

struct Counts {
  std::size_t utc = 0, standard = 0, leaps = 0, changes = 0, types = 0, characters = 0;
  std::size_t size(std::size_t word) const {
    return changes * (word + 1) + types * 6 + characters + leaps * (word + 4) + standard + utc;
  }
};

std::optional<Counts> read_counts(std::string_view header) {
  if (header.size() < kHeader || header.substr(0, 4) != "TZif") return std::nullopt;
  const auto at = [&](std::size_t i) {
    return static_cast<std::size_t>(static_cast<uint32_t>(big_endian(header.substr(20 + 4 * i, 4))));
  };
  const Counts c{at(0), at(1), at(2), at(3), at(4), at(5)};
  for (const std::size_t n : {c.utc, c.standard, c.leaps, c.changes, c.types, c.characters})
    if (n > kMaxChanges) return std::nullopt;
  return c;
}

// Takes from the front of a POSIX TZ text.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  bool done() const { return text_.empty(); }
  bool eat(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool name() {
    if (eat('<')) {
      const auto close = text_.find('>');
      if (close == std::string_view::npos) return false;
      text_.remove_prefix(close + 1);
      return true;
    }
    std::size_t n = 0;
    while (n < text_.size() && ((text_[n] | 32) >= 'a' && (text_[n] | 32) <= 'z')) ++n;
    text_.remove_prefix(n);
    return n >= 3;
  }
  std::optional<int> number() {
    int n = 0;
    std::size_t used = 0;
    while (used < text_.size() && used < 4 && text_[used] >= '0' && text_[used] <= '9')
      n = n * 10 + (text_[used++] - '0');
    text_.remove_prefix(used);
    return used > 0 ? std::optional(n) : std::nullopt;
  }
  std::optional<int64_t> time() {  // [+-]hh[:mm[:ss]]
    const bool negative = eat('-');
    if (!negative) eat('+');
    const auto hours = number();
    if (!hours) return std::nullopt;
    int64_t seconds = int64_t{*hours} * 3600;
    for (const int unit : {60, 1}) {
      if (!eat(':')) break;
      const auto part = number();
      if (!part) return std::nullopt;
      seconds += int64_t{*part} * unit;
    }
    return negative ? -seconds : seconds;
  }
  std::optional<ChangeDay> day() {
    ChangeDay d;
    const auto field = [this](int& into) {
      const auto n = number();
      into = n.value_or(0);
      return n.has_value();
    };
    if (eat('M')) {
      if (!field(d.month) || !eat('.') || !field(d.week) || !eat('.') || !field(d.day)) return std::nullopt;
      if (d.month < 1 || d.month > 12 || d.week < 1 || d.week > 5 || d.day > 6) return std::nullopt;
    } else {
      d.kind = eat('J') ? ChangeDay::Kind::julian : ChangeDay::Kind::zero_based;
      if (!field(d.day) || d.day > 365) return std::nullopt;
    }
    if (eat('/')) {
      const auto at = time();
      if (!at) return std::nullopt;
      d.seconds = *at;
    }
    return d;
  }

 private:
  std::string_view text_;
};

// Local midnight of the day, counted as if it were UTC, and the time of day added.
int64_t moment(const ChangeDay& d, std::chrono::year year) {
  namespace c = std::chrono;
  c::sys_days day;
  if (d.kind == ChangeDay::Kind::week) {
    const c::weekday weekday(static_cast<unsigned>(d.day));
    const auto month = year / c::month(static_cast<unsigned>(d.month));
    day = d.week == 5 ? c::sys_days(month / weekday[c::last])
                      : c::sys_days(month / weekday[static_cast<unsigned>(d.week)]);
  } else {
    day = c::sys_days(year / 1 / 1) + c::days(d.day);
    if (d.kind == ChangeDay::Kind::julian)  // which never counts 29 February
      day = day - c::days(1) + c::days(year.is_leap() && d.day >= 60 ? 1 : 0);
  }
  return int64_t{day.time_since_epoch().count()} * 86400 + d.seconds;
}

int64_t offset_by_rule(const ZoneRule& r, int64_t instant) {
  if (!r.changes) return r.standard;
  const int64_t local = instant + r.standard;
  const int64_t days = (local - ((local % 86400) + 86400) % 86400) / 86400;
  const std::chrono::year year =
      std::chrono::year_month_day{std::chrono::sys_days{std::chrono::days{days}}}.year();
  const int64_t begin = moment(r.begin, year) - r.standard;
  const int64_t end = moment(r.end, year) - r.summer;
  const bool summer = begin < end ? instant >= begin && instant < end : instant >= begin || instant < end;
  return summer ? r.summer : r.standard;
}

}  // namespace

std::optional<ZoneRule> parse_zone_rule(std::string_view text) {
  Reader in(text);
  ZoneRule r;
  if (!in.name()) return std::nullopt;
  const auto standard = in.time();
  if (!standard) return std::nullopt;
  r.standard = r.summer = -*standard;  // POSIX counts west
  if (in.done()) return r;
  if (!in.name()) return std::nullopt;
  r.changes = true;
  r.summer = r.standard + 3600;
  if (!in.eat(',')) {
    const auto summer = in.time();
    if (!summer || !in.eat(',')) return std::nullopt;
    r.summer = -*summer;
  }
  const auto begin = in.day();
  if (!begin || !in.eat(',')) return std::nullopt;
  const auto end = in.day();
  if (!end || !in.done()) return std::nullopt;
  r.begin = *begin;
  r.end = *end;
  return r;
}

Result<Zone> Zone::parse(std::string_view file) {
  const auto wrong = [] { return fail("no file of the time zone database"); };
  auto counts = read_counts(file);
  if (!counts) return wrong();
  std::size_t word = 4;
  std::size_t at = kHeader;
  if (file[4] >= '2') {  // the same again in 64 bits
    at += counts->size(4);
    if (file.size() < at) return wrong();
    counts = read_counts(file.substr(at));
    if (!counts) return wrong();
    at += kHeader;
    word = 8;
  }
  if (counts->types == 0 || file.size() < at + counts->size(word)) return wrong();
  const std::string_view times = file.substr(at, counts->changes * word);
  const std::string_view indices = file.substr(at + times.size(), counts->changes);
  const std::string_view types = file.substr(at + times.size() + indices.size(), counts->types * 6);
  const auto offset_of = [&](std::size_t type) { return big_endian(types.substr(type * 6, 4)); };
  Zone z;
  z.before_ = offset_of(0);
  for (std::size_t i = 0; i < counts->changes; ++i) {
    const auto type = static_cast<std::size_t>(static_cast<unsigned char>(indices[i]));
    if (type >= counts->types) return wrong();
    z.changes_.push_back({big_endian(times.substr(i * word, word)), offset_of(type)});
  }
  if (word == 8) {
    std::string_view rule = file.substr(at + counts->size(word));
    if (rule.size() >= 2 && rule.front() == '\n') {
      rule.remove_prefix(1);
      rule = rule.substr(0, rule.find('\n'));
      if (!rule.empty()) z.rule_ = parse_zone_rule(rule);
    }
  }
  return z;
}

int64_t Zone::offset_at(int64_t instant) const {
  const auto next = std::upper_bound(changes_.begin(), changes_.end(), instant,
                                     [](int64_t t, const Change& c) { return t < c.at; });
  if (next == changes_.end() && rule_) return offset_by_rule(*rule_, instant);
  return next == changes_.begin() ? before_ : std::prev(next)->offset;
}

}  // namespace tend::lifecycle
