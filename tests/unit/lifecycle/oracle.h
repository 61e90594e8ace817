// A second, plain model of an instance, against which the machine is checked: what a user may expect, by the
// rules of restart, of stop and of reload. It knows processes and wishes and no phases.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/lifecycle/instance_machine.h"

namespace tend::lifecycle {

// What is asked of the world for a process.
struct Deed {
  enum class Kind { spawn, signal, drain, sweep, await, stuck } kind;
  uint32_t process = 0;
  int number = 0;  // of the signal
  friend auto operator<=>(const Deed&, const Deed&) = default;
};

class Oracle {
 public:
  explicit Oracle(const Policy& policy) : p_(policy) {}

  // What is to be done after this event, sorted.
  const std::vector<Deed>& expect(const Event& event, Millis now);

  std::string_view status() const;
  // When the timer of that kind must fire; none: it need not be armed.
  std::optional<Millis> due(Timer timer) const;
  bool at_rest() const { return !main_ && !old_ && rest_ != Rest::waiting; }
  uint32_t restarts = 0, unstable = 0, reloads = 0, failed_reloads = 0, hangs = 0;
  bool wanted() const { return wish_; }
  uint32_t current() const { return current_; }

 private:
  enum class Rest { stopped, waiting, errored };
  enum class End { none, stop, condemned };
  enum class Step { asked_to_finish, signalled, killed };  // of one that is to go
  struct Process {
    uint32_t number = 0;
    Millis born{0};
    bool runs = false;  // exec succeeded
    bool ready = false;
    bool dead = false;  // what may be left is its tree
    bool gone = false;  // nothing is left, but the instance waits for its other process
    bool by_hand = false;
    End end = End::none;
    Step step = Step::signalled;
    int kills = 0;
    Cause sentence = Cause::none;
    std::optional<Millis> kill_at, ready_by;
  };

  void say(Deed::Kind kind, const Process& to) { said_.push_back({kind, to.number, 0}); }
  void signal(const Process& to, int number) { said_.push_back({Deed::Kind::signal, to.number, number}); }
  Millis patience() const { return std::max(p_.kill, kMinKillRepeat); }
  void clean_slate();

  void begin(bool by_hand);
  void begin_from_rest(Cause cause);

  // Wishes
  void start(Cause cause);
  void restart(Cause cause);
  void reload(Cause cause);
  void stop(bool drain);

  // Both processes of a reload go.
  void end_main(bool drain);
  void signal_main();
  void send_old_away();

  // Reports of the main process
  bool lives() const { return !main_->dead && main_->end != End::stop; }
  void tell_main(const Spawned&);
  void tell_main(const Ready&);
  void now_ready();
  void tell_main(const Drained&);
  void tell_main(const Extend& e);
  void tell_main(const Condemn& e);
  void tell_main(const SpawnFailed& e);
  void tell_main(const Exited& e);
  void tell_main(const TreeGone&);
  void tell_main(const Fired& e);
  void tell_main(const Repeated& e);
  // It was not ready in time.
  void late();
  void kill_main();
  // The successor is no good: it leaves, or what it left does.
  void back_to_old();

  // There is no process: the restart that is waited for.
  void tell_resting(const Fired& e);
  template <class E>
  void tell_resting(const E&) {}

  // Reports of the other one
  void tell_old(const Exited&);
  void tell_old(const TreeGone&);
  void tell_old(const Drained&);
  void tell_old(const Condemn& e) { signal(*old_, e.signal); }
  void tell_old(const Extend& e);
  void tell_old(const Fired& e);
  template <class E>
  void tell_old(const E&) {}
  void old_over();

  // Ends
  void main_over() {  // of one that was stopped
    if (old_) {
      main_->gone = true;
      main_->step = Step::signalled;
      main_->kill_at.reset();
      return;
    }
    main_.reset();
    rest_ = cause_ == Cause::not_ready ? Rest::errored : Rest::stopped;
    if (!again_) return;
    asked_again();
  }
  void asked_again();
  void judge();
  void relaunch_after(Millis wait);
  bool is_stop_code(int32_t status) const;

  const Policy p_;
  std::optional<Process> main_, old_;
  bool serving_ = false;  // old_ serves until main_ is ready
  bool wish_ = false, again_ = false;
  Rest rest_ = Rest::stopped;
  Cause cause_ = Cause::none;
  uint32_t last_ = 0, current_ = 0;  // numbers; the present or last process has the second
  std::optional<int32_t> status_;
  std::optional<Millis> created_;
  Millis delay_{0}, wait_until_{0}, ended_at_{0}, now_{0};
  std::vector<Deed> said_;
};

}  // namespace tend::lifecycle
