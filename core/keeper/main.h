#pragma once

#include <string_view>

#include "core/base/console.h"
#include "core/model/home.h"

namespace tend::keeper {

// What ready_fd says, one byte; end of file alone: this keeper failed.
inline constexpr char kKeeperReady = '1';    // the socket listens
inline constexpr char kAnotherKeeper = '2';  // it has the lock and listens now or soon

// In the place of ready_fd on the command line: Options::succeeds.
inline constexpr std::string_view kSucceeds = "succeeds";

struct Options {
  Home home;
  int ready_fd = -1;           // written once, then closed
  // Started by the supervisor of a keeper that was lost: descriptor 3 is the link to it, 4 the listener; the
  // environment has TEND_EPOCH and TEND_HERITAGE.
  bool succeeds = false;
  Console console = Console::none;  // else descriptors 1 and 2 stay: the apps' output goes there
  const char* self = nullptr;  // the program to execute as supervisor: /proc/self/exe's target
};

// The keeper's whole life; returns the exit status. Takes the lock, binds the socket, starts the supervisor
// (argv[0] "tend: supervisor", argv[1] the home; descriptor 3 its socket, 4 the listener; TEND_EPOCH) and
// restarts it when it dies.
int run(const Options& options);

}  // namespace tend::keeper
