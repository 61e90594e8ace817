// When changes of an app's files become a restart. Pure: time is an argument.
//
// Changes that come together are one restart: it waits until nothing has changed for kQuiet, at least the
// app's watch_delay after the first, and never longer than kPatience beyond that. While the app is being
// restarted changes count for nothing, as the process that comes reads the files as they are then. An app
// that writes into what it watches would restart for ever: a path that has caused kInARow restarts in a row,
// each soon after the process began, is left out for the first moments of each process from then on, and for
// longer each time that this is not enough.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/units.h"

namespace tend::lifecycle {

class WatchPace {
 public:
  static constexpr Millis kQuiet{100}, kPatience{2000};
  static constexpr Millis kSoon{5000};  // a younger process may have been the writer
  static constexpr uint32_t kInARow = 4;
  static constexpr Millis kFirstPause{10000}, kLongestPause{600000};
  static constexpr Millis kRestarting{-1};  // as an age: no process of the app serves

  explicit WatchPace(Millis delay = {}) : delay_(delay) {}

  // `age`: of the youngest process of the app. True: it counts, and due() is set.
  bool changed(std::string_view path, Millis now, Millis age);
  Millis due() const { return due_; }  // -1: nothing to do

  struct Restart {
    std::string path;      // the first that changed
    std::size_t more = 0;  // other paths
    bool looping = false;  // from now on `path` is left out for `pause` after each start
    Millis pause{0};
  };
  // REQUIRES: due() >= 0. Forgets what has changed.
  Restart fire();
  // The app was restarted, or stopped, by someone else: what waits is done with.
  void forget();

 private:
  struct Suspect {
    uint32_t in_a_row = 0;
    Millis pause{0};  // 0: it counts
  };
  Millis delay_;
  Millis first_{-1}, due_{-1}, age_{0};
  std::vector<std::string> paths_;  // of this burst, bounded
  std::size_t count_ = 0;
  std::map<std::string, Suspect, std::less<>> suspects_;  // bounded by the paths of a burst
};

}  // namespace tend::lifecycle
