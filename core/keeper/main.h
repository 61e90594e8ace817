#pragma once

#include "core/model/home.h"

namespace tend::keeper {

struct Options {
  Home home;
  int ready_fd = -1;  // written (one byte) once the socket listens; closed when another keeper holds the lock
  const char* self = nullptr;  // the program to execute as supervisor: /proc/self/exe's target
};

// The keeper's whole life; returns the exit status. Takes the lock, binds the socket, starts the supervisor
// (argv[0] "tend: supervisor", argv[1] the home; descriptor 3 its socket, 4 the listener; TEND_EPOCH) and
// restarts it when it dies.
int run(const Options& options);

}  // namespace tend::keeper
