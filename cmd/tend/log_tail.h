// The log files of apps that come and go, as one stream of lines.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cmd/tend/follow_linux.h"
#include "cmd/tend/log_printer.h"
#include "cmd/tend/session.h"

namespace tend::cli {

// What stands in the log files when it is made is old, what comes later is not.
class LogStarts {
 public:
  explicit LogStarts(std::string folder);  // the home's logs
  // Where the new part begins; `fd` is the open file, or -1.
  int64_t of(const std::string& path, int fd) const;

 private:
  std::string folder_;
  Millis made_;
  std::map<std::string, int64_t> before_;  // sizes by path
};

struct TailStyle {
  bool raw = false;
  bool dev = false;         // "<name>-<id> | " in front, instead of "<id>|<name>  | "
  std::string time_format;  // "": none
};

class LogTail {
 public:
  // From here on: what stands in the home's log files now is old.
  LogTail(Session& session, TailStyle style);
  void add(const List& rows);  // full rows; new files among them are followed
  Status step(int limit_ms);   // prints what is new
  int fd() const { return follower_.fd(); }

 private:
  void print(std::size_t index, std::string_view line);

  Session& s_;
  TailStyle style_;
  std::size_t width_ = 3;
  LogStarts starts_;
  std::vector<LogSource> sources_;
  Follower follower_;
};

}  // namespace tend::cli
