#pragma once

#include <functional>
#include <string_view>

#include "core/base/console.h"
#include "core/base/result.h"
#include "core/model/home.h"

namespace tend::keeper {

// What ready_fd says, one byte; end of file alone: this keeper failed.
inline constexpr char kKeeperRefuses = '!';  // and why, up to the end of file
inline constexpr char kKeeperReady = '1';    // the socket listens
inline constexpr char kAnotherKeeper = '2';  // it has the lock and listens now or soon

// In the place of ready_fd on the command line: Options::succeeds.
inline constexpr std::string_view kSucceeds = "succeeds";

struct Options {
  Home home;
  int ready_fd = -1;  // written once, then closed
  // Started by the supervisor of a keeper that was lost: descriptor 3 is the link to it, 4 the listener; the
  // environment has TEND_EPOCH and TEND_HERITAGE.
  bool succeeds = false;
  Console console = Console::none;  // else descriptors 1 and 2 stay: the apps' output goes there
  int state_fd = -1;                // what a former program of this process left; then there is no ready_fd
  const char* self = nullptr;       // the program to execute as supervisor: /proc/self/exe's target
};

// The keeper's whole life; returns the exit status. Takes the lock, binds the socket, starts the supervisor
// (argv[0] "tend: supervisor", argv[1] the home; descriptor 3 its socket, 4 the listener; TEND_EPOCH) and
// restarts it when it dies.
int run(const Options& options);

// The descriptor that is held under a name, -1 for none.
using Held = std::function<int(std::string_view name)>;

// A new program looks at what a running daemon would leave to it: `daemon` at what the supervisor left. What
// it finds goes to `answer_fd`; the exit status.
int check_state(int state_fd, int answer_fd, const std::function<Status(const Held&)>& daemon);

}  // namespace tend::keeper
