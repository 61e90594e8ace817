#include "core/lifecycle/watch_pace.h"

#include <algorithm>
#include <utility>

namespace tend::lifecycle {
namespace {

constexpr std::size_t kMaxPaths = 16;  // that are remembered between two restarts

}  // namespace

bool WatchPace::changed(std::string_view path, Millis now, Millis age) {
  if (age == kRestarting) return false;
  const bool soon = age < kSoon;
  last_ = now;
  const bool known =
      std::any_of(paths_.begin(), paths_.end(), [&](const Changed& c) { return c.path == path; });
  if (!known) {
    ++count_;
    if (paths_.size() < kMaxPaths) paths_.push_back({std::string(path), soon});
  }
  const auto suspect = suspects_.find(path);
  if (soon && suspect != suspects_.end() && age < suspect->second.pause) {
    if (held_due_.n < 0) held_due_ = now - age + suspect->second.pause;
    return true;
  }
  if (first_.n < 0) first_ = now;
  const Millis least = first_ + delay_;
  due_ = std::max(least, std::min(now + kQuiet, least + kPatience));
  return true;
}

Millis WatchPace::due() const {
  if (due_.n < 0 || held_due_.n < 0) return std::max(due_, held_due_);
  return std::min(due_, held_due_);
}

WatchPace::Restart WatchPace::fire() {
  Restart out;
  out.path = paths_.front().path;
  out.more = count_ - 1;
  out.last = last_;
  std::map<std::string, Suspect, std::less<>> next;
  for (const auto& [path, soon] : paths_) {
    Suspect s;
    if (const auto known = suspects_.find(path); soon && known != suspects_.end()) s = known->second;
    ++s.in_a_row;
    if (soon && s.in_a_row >= kInARow)
      s.pause = s.pause.n == 0 ? kFirstPause : std::min(s.pause * 2, kLongestPause);
    if (path == out.path) out.pause = s.pause;
    next.emplace(path, s);
  }
  // A pause holds although another path was the cause this time.
  for (const auto& [path, s] : suspects_) {
    if (s.pause.n > 0 && next.size() < 4 * kMaxPaths) next.emplace(path, s);
  }
  suspects_ = std::move(next);
  due_ = held_due_ = first_ = Millis{-1};
  paths_.clear();
  count_ = 0;
  return out;
}

}  // namespace tend::lifecycle
