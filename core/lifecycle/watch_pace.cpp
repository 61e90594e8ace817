#include "core/lifecycle/watch_pace.h"

#include <algorithm>
#include <utility>

namespace tend::lifecycle {
namespace {

constexpr std::size_t kMaxPaths = 16;  // that are remembered of one burst

}  // namespace

bool WatchPace::changed(std::string_view path, Millis now, Millis age) {
  if (age == kRestarting) return false;
  const auto suspect = suspects_.find(path);
  if (suspect != suspects_.end() && age < suspect->second.pause) return false;
  if (due_.n < 0) {
    first_ = now;
    age_ = age;
    count_ = 0;
    paths_.clear();
  }
  if (std::find(paths_.begin(), paths_.end(), path) == paths_.end()) {
    ++count_;
    if (paths_.size() < kMaxPaths) paths_.emplace_back(path);
  }
  const Millis least = first_ + delay_;
  due_ = std::max(least, std::min(now + kQuiet, least + kPatience));
  return true;
}

WatchPace::Restart WatchPace::fire() {
  Restart out;
  out.path = paths_.front();
  out.more = count_ - 1;
  std::map<std::string, Suspect, std::less<>> next;
  for (const std::string& path : paths_) {
    Suspect s;
    if (const auto known = suspects_.find(path); known != suspects_.end()) s = known->second;
    // One that comes at twice its pause is no loop any more.
    const bool soon = age_ < std::max(kSoon, s.pause * 2);
    if (!soon) s = {};
    ++s.in_a_row;
    if (soon && (s.in_a_row >= kInARow || s.pause.n > 0)) {
      s.pause = s.pause.n == 0 ? kFirstPause : std::min(s.pause * 2, kLongestPause);
      if (path == out.path) {
        out.looping = true;
        out.pause = s.pause;
      }
    }
    next.emplace(path, s);
  }
  // A pause holds although another path was the cause this time, or two files would take turns.
  for (const auto& [path, s] : suspects_) {
    if (s.pause.n > 0 && next.size() < 4 * kMaxPaths) next.emplace(path, s);
  }
  suspects_ = std::move(next);
  forget();
  return out;
}

void WatchPace::forget() {
  due_ = first_ = Millis{-1};
  paths_.clear();
  count_ = 0;
}

}  // namespace tend::lifecycle
