// When changes of an app's files become a restart. Pure: time is an argument.
//
// Changes that come together are one restart: it waits until nothing has changed for kQuiet, at least the
// app's watch_delay after the first, and never longer than kPatience beyond that. While the app is being
// restarted changes count for nothing, as the process that comes reads the files as they are then. An app
// that writes into what it watches would restart for ever: when a path has caused kInARow restarts in a row,
// each soon after the process began, the next one for it waits until the process is kFirstPause old, and
// twice as long each time. No change is lost by that, as the writer may as well be a person who saves often.
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
  static constexpr uint32_t kInARow = 6;
  static constexpr Millis kFirstPause{2000}, kLongestPause{600000};
  static constexpr Millis kRestarting{-1};  // as an age: no process of the app serves

  explicit WatchPace(Millis delay = {}) : delay_(delay) {}

  // `age`: of the youngest process of the app. True: it counts, and due() is set.
  bool changed(std::string_view path, Millis now, Millis age);
  Millis due() const;  // -1: nothing to do

  struct Restart {
    std::string path;      // the first that changed
    std::size_t more = 0;  // other paths
    Millis last{-1};       // when the last change came
    Millis pause{0};       // > 0: the next restart for `path` waits until the process is this old
  };
  // REQUIRES: due() >= 0. Forgets what has changed.
  Restart fire();

 private:
  struct Suspect {
    uint32_t in_a_row = 0;
    Millis pause{0};
  };
  struct Changed {
    std::string path;
    bool soon = false;
  };
  Millis delay_;
  Millis first_{-1}, last_{-1}, due_{-1}, held_due_{-1};
  std::vector<Changed> paths_;  // since the last restart, bounded
  std::size_t count_ = 0;
  std::map<std::string, Suspect, std::less<>> suspects_;  // bounded by the paths of a restart
};

}  // namespace tend::lifecycle
