// The parent of every app and holder of every descriptor: one thread, one epoll, no policy. What it owes to
// the supervisor is in its two tables, so that a supervisor that stands still costs no memory and loses
// nothing.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/base/units.h"
#include "core/keeper/entry_table.h"
#include "core/keeper/fd_table.h"
#include "core/keeper/protocol.h"
#include "core/keeper/spawn_linux.h"

namespace tend::keeper {

class HomeLock;
class StateReader;
struct Received;

// One supervisor: the keeper's end of its socket and its pid (0: no child of ours; its end of the socket is
// its life).
struct Life {
  UniqueFd socket;
  pid_t pid = 0;
};

struct Settings {
  uint64_t epoch = 0;
  ChildDefaults defaults;
  std::function<Result<Life>()> start_supervisor;
  // The link to the supervisor of a keeper that was lost, which tells what that one had. None: begin with
  // nothing.
  UniqueFd predecessor;
  bool owned = false;  // by a program in the foreground, with which it ends
  pid_t owner = 0;     // that program; 0: not known
  // After a signal: until a supervisor that is there must have stirred; from SIGTERM to SIGKILL if it did
  // not.
  Millis no_reaction{10000};
  Millis grace{10000};
  // For an upgrade; none: it is refused. Of the arguments of a keeper the fourth says where the state is.
  const HomeLock* home = nullptr;
  std::vector<std::string> arguments;
};

// The replacement of the program, from the request to the execve.
struct Upgrade {
  enum class Stage : uint8_t { none, checking, ending };
  Stage stage = Stage::none;
  UniqueFd program;  // O_PATH
  UniqueFd answer;   // of the checker
  pid_t checker = 0;
  uint64_t serial = 0;        // of the request
  std::optional<Millis> due;  // the checker's
  bool late = false;
  uint32_t done = 0;  // by which this program came to run
  std::optional<Message> refusal;
};

class Keeper {
 public:
  explicit Keeper(Settings settings) : settings_(std::move(settings)) {}
  // Blocks the signals that it handles and makes the descriptors of the loop.
  Status open();
  // After open(): what the former program of this process left, descriptors included.
  void restore(const StateReader& state);
  // Until the supervisor ended after `shutdown`, or everything was ended after a signal; the exit status.
  int run();

 private:
  enum Tag : uint32_t { kSignalsTag, kLinkTag, kPipeTag, kAdoptedTag };  // of what epoll reports
  enum class Phase : uint8_t { none, asked, terminating, killing };

  // keeper.cpp: the loop, the children, the supervisor's lives
  Millis now() const;
  int timeout_ms() const;
  void on_signals();
  void on_pipe(int fd);
  void on_link(uint32_t events);
  void on_time();
  bool settle(Entry& entry);
  void close_pipe(Entry& entry);
  void reap();
  void ended(Entry& entry, int64_t status);
  void follow_owner();
  void start_supervisor();
  void supervisor_gone();
  void drop_link();
  void watch(int operation, int fd, uint32_t events, Tag tag);

  // requests.cpp
  bool read_requests(int budget);
  void take(Received& request, bool cut);
  int apply(Received& request);
  int on_hello(const Received& request);
  int on_spawn(Received& request);
  int on_ack(const Message& message);
  int on_signal(const Message& message);
  int on_hold(Received& request);

  // adoption.cpp: taking the place of a keeper that was lost
  int on_adopt(Received& request);
  void on_handed_over();
  void on_adopted(int pidfd);
  void inheritance_lost();
  bool any_adopted();

  // reports.cpp
  void flush();
  bool flush_entries();
  bool flush_table();
  bool send(Message message, std::span<const int> fds = {});

  // upgrade.cpp
  int on_upgrade(Received& request);
  void on_checker_end(int status);
  void on_checker_late();
  void upgrade_or_go_on();
  Result<UniqueFd> save();
  void execute_successor();
  void refuse_upgrade(int code, std::string_view text = {});

  // terminate.cpp: what happens after SIGTERM if no supervisor does it
  void on_terminate(int number);
  void on_terminate_deadline();
  void signal_all(int number);

  // repeat.cpp: apps are started again while supervisors die at once
  int on_forsake(const Message& message);
  int on_noted(const Message& message);
  void set_safe(bool safe);
  void plan_repeat(Entry& entry);
  void plan_repeats();
  void drop_repeats();
  void repeat_due();
  bool repeat(Entry& entry);
  void kill_adopted();

  Settings settings_;
  UniqueFd epoll_, signals_;
  Millis started_{};
  EntryTable entries_;
  FdTable held_;
  bool done_ = false;

  // The present supervisor
  Life life_;
  Millis life_began_{};
  Millis restart_delay_{};
  std::optional<Millis> restart_at_;
  std::optional<Millis> owner_at_;
  pid_t heir_of_ = 0;                // the supervisor that started it in a lost one's place; 0: a caller did
  bool served_ = false;              // this life took over completely
  int quick_lives_ = 0;              // in a row, whether they served or not
  int failures_ = 0;                 // lives in a row that failed
  bool safe_ = false;                // too many: their apps are the keeper's care until one serves
  int last_end_ = 0;                 // wait status of the last supervisor
  std::optional<Millis> repeat_at_;  // the first one that is due
  bool first_ = true;                // no supervisor was given the whole table yet
  bool shutdown_ = false;
  bool inheriting_ = false;  // the present link is a predecessor's, and it has not told all

  // The link to it
  bool greeted_ = false;            // hello came
  bool deaf_ = false;               // its end does not take any more; what it sent is still read
  bool blocked_ = false;            // the queue is full: neither send nor take requests
  std::optional<Millis> retry_at_;  // blocked, and no event will tell (too many descriptors in flight)
  uint64_t serial_ = 0;
  bool syncing_ = false;            // the answer to hello is not out yet
  size_t next_slot_ = 0;            // of held_, while syncing
  std::optional<Message> refusal_;  // one at most: requests are read only when it is out

  Upgrade upgrade_;

  Phase phase_ = Phase::none;
  int terminate_signal_ = 0;
  bool terminate_owed_ = false;
  bool reopen_owed_ = false;  // SIGUSR2, which the supervisor is to be told
  bool reacted_ = false;
  bool extended_ = false;  // there is a supervisor: it was given more time, once
  int kill_rounds_ = 0;
  std::optional<Millis> terminate_at_;
};

}  // namespace tend::keeper
