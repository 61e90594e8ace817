// A daemon that lives no longer than this program (settled 10): tend-runtime, dev, start --no-daemon. As PID
// 1 of a container this is the one that reaps and that gets the signals.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>

#include "cmd/tend/event_feed.h"
#include "cmd/tend/log_tail.h"
#include "cmd/tend/session.h"
#include "core/base/console.h"

namespace tend::cli {

// When this ends without being told: no app runs or will run again.
enum class AutoExit : uint8_t {
  never,
  at_once,  // with the app's own status; what a user stopped has a while to be started again
  pm2,      // looks after 6 s, then every 2 s; four misses: 2 (compat.md 11.3)
  dev       // looks every 3 s; two misses: 1 (compat.md 11.4)
};

struct ForegroundForm {
  Console console = Console::raw;
  AutoExit auto_exit = AutoExit::at_once;
  std::optional<TailStyle> tail;               // console quiet: the log files are shown here
  Millis delay{};                              // before the start
  std::function<bool()> start;                 // the apps; false: it failed and was told
  std::function<void(const Value&)> on_event;  // may be empty
  std::function<void()> on_signal;             // the first of TERM, INT, QUIT; may be empty
  bool always_done = false;                    // after a signal: 0, whatever the app's status
};

class Foreground {
 public:
  Foreground(Session& session, ForegroundForm form) : s_(session), form_(std::move(form)) {}
  int run();  // the exit status

 private:
  Status open();
  void loop();
  void on_signals();
  void on_events();
  void reap();
  void end(int number);
  void forward(int number);
  void refresh();
  void look();
  void miss(int64_t next_ms, int most, int status);
  int own_status() const;
  void kill_children();

  Session& s_;
  ForegroundForm form_;
  pid_t keeper_ = 0;
  UniqueFd signals_;
  std::optional<EventFeed> feed_;
  std::optional<LogTail> tail_;
  List rows_;
  std::map<int64_t, int> statuses_;  // by id: what a shell would call the end of its last process
  std::optional<Millis> refresh_at_, look_at_;
  std::optional<int> status_;  // decided; the daemon is on its way out
  bool signalled_ = false;
  int misses_ = 0;
};

}  // namespace tend::cli
