// Programs that the command line runs for its user: git, ssh, editors. The daemon has its own ways.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"

namespace tend::cli {

struct Child {
  std::vector<std::string> argv;  // the program is searched in PATH; no shell is between
  std::string cwd;                // "": the caller's
  std::string input_file;         // for its standard input; "": the caller's
  std::vector<std::string> env;   // NAME=value, beside the caller's own environment
};

// Runs it on the caller's terminal and waits. Its exit status, 128 + n for signal n. Error: it could not be
// started.
Result<int> run_child(const Child& child);

struct Captured {
  int status = 0;
  std::string out;  // at most 1 MiB; what is beyond is read and dropped
};
// The same, but its standard output is taken and its standard input is empty.
Result<Captured> capture_child(const Child& child);

}  // namespace tend::cli
