#pragma once

#include <algorithm>
#include <chrono>

namespace tend::autopsy {

// A point in time that everything here ends by.
class Deadline {
 public:
  explicit Deadline(std::chrono::milliseconds from_now) : at_(Clock::now() + from_now) {}
  // Rounded up, so that poll() does not spin in the last millisecond; 0 when it has passed.
  int left_ms() const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(at_ - Clock::now()).count();
    return static_cast<int>(std::clamp<long long>(left, 0, 60'000));
  }
  bool passed() const { return Clock::now() >= at_; }
  Deadline earlier(std::chrono::milliseconds by) const {
    Deadline d = *this;
    d.at_ -= by;
    return d;
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point at_;
};

}  // namespace tend::autopsy
