// One log file as the jobs see it: opened at the first byte, checked before each batch, never trusted to
// stay. Used by one job at a time; only ask_reopen() may come from elsewhere.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <string>
#include <string_view>

#include "core/base/folder_linux.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/base/units.h"
#include "core/logs/rotation.h"

namespace tend::logs {

uint64_t path_hash(std::string_view path);
std::string file_keepsake(uint64_t hash);  // "file/<hash>"
inline std::string file_keepsake(std::string_view path) { return file_keepsake(path_hash(path)); }

class LogFile {
 public:
  LogFile(std::string path, int uid, int gid) : path_(std::move(path)), owner_{uid, gid} {}

  void adopt(UniqueFd fd);  // an open file description of a predecessor, with its position
  // Opens or reopens as needed and stands at the file's end: it may have been truncated, renamed, replaced,
  // or written by somebody else.
  Status ready(Millis now);
  // At most `want` bytes out of the pipe: one system call consumes, writes and advances. As splice(2).
  ssize_t take(int pipe, std::size_t want);
  // All of it or an error; `written` says how much of it got through.
  Status write(std::string_view bytes, std::size_t& written);
  // Whether a console takes bytes now or soon. One that does not holds up the apps, and loses nothing.
  bool room() const;
  int64_t position() const;
  void rewind(int64_t position);  // cuts off what a failed write left behind
  bool regular() const { return regular_; }
  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }
  // Puts the file aside and opens a new one in its place. Error: it goes on being written, and is full()
  // again only after it has grown by its limit once more.
  Status turn(Millis now, Millis wall);
  Status tidy(const RotationRules& rules) const;     // what was put aside; from any thread
  bool full() const;                                 // by the size that set_limit() gave
  void set_limit(int64_t bytes) { limit_ = bytes; }  // from any thread; 0: none
  void ask_reopen() { reopen_ = true; }
  bool take_news() { return std::exchange(news_, false); }  // another descriptor since the last time

 private:
  Status open();
  Status open_regular();
  Result<std::string> pinned(UniqueFd& folder) const;

  std::string path_;
  FileOwner owner_;
  UniqueFd fd_;
  bool regular_ = true;
  bool splice_ = true;
  bool news_ = false;
  std::atomic<bool> reopen_ = false;
  std::atomic<int64_t> limit_ = 0;
  int64_t refused_ = 0;  // where it could not be put aside
  Millis checked_{-1000};
};

}  // namespace tend::logs
