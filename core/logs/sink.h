// Where an app's output goes. One LogWriter per supervisor; it owns the files, the streams and the jobs that
// move bytes. Raw (settled 32): splice(2) from the pipe into the file through an open file description
// without O_APPEND that the keeper shares; where two raw streams share a file, a kill may set one's bytes
// inside a line of the other's. Lines (timestamps, JSON, a combined file): tee, write, note, consume. Bytes
// move on the thread pool, one job per file at a time, so that a slow disk slows the app and never the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/logs/rotation.h"
#include "core/loop/loop.h"
#include "core/base/console.h"

namespace tend::logs {

enum class Channel : uint8_t { out, err };

struct StreamKey {
  uint32_t id = 0;     // instance
  uint32_t spawn = 0;  // process number
  Channel channel = Channel::out;
  friend auto operator<=>(const StreamKey&, const StreamKey&) = default;
};

struct StreamOptions {
  std::string path;         // absolute; "/dev/null": read and drop
  std::string combined;     // also written to this file; empty: none
  std::string date_format;  // day.js tokens; empty: no time stamp
  bool json = false;
  std::string app_name;     // for json
  uint32_t process_id = 0;  // for json: pm_id
  int uid = -1, gid = -1;   // owner of files that are created; -1: leave
  RotationRules rotation;

  Console form = Console::none;  // of the lines, for a console

  // Beside the file, or instead of the combined one, to the daemon's own standard output or error.
  void show(Console console, Channel channel);
  bool lines() const {
    return json || !date_format.empty() || (!combined.empty() && combined != path) || form > Console::raw;
  }
};

// What must survive the supervisor: the owner puts these in the keeper, and gives them back after a crash.
class Keepsakes {
 public:
  virtual ~Keepsakes() = default;
  virtual void hold(std::string_view name, int fd) = 0;  // duplicates; at most 63 bytes of name
  virtual void drop(std::string_view name) = 0;
};

class LogWriter {
 public:
  LogWriter(loop::Loop& loop, const Clock& clock, Log& log, Keepsakes& keepsakes);
  ~LogWriter();  // waits for jobs in flight
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Descriptors that a predecessor had in the keeper, by name ("file/…", "note"); before any add().
  void give_back(std::string_view name, UniqueFd fd);
  // Begins to move what arrives on `pipe` (the read end, non-blocking). Files are created at the first byte,
  // except that prepare() creates them at once. Errors of the disk are counted, never fatal.
  void add(const StreamKey& key, UniqueFd pipe, const StreamOptions& options);
  // Creates the file and its folders (0600, 0700; no symlink followed in the last component; a FIFO or device
  // other than /dev/null, /dev/stdout, /dev/stderr, a tty is refused) without opening a stream. On the pool;
  // errors are logged.
  void prepare(const StreamOptions& options);
  // The process ended: move what is left in the pipe (until EOF or empty), then forget the stream and call
  // `done` on the loop.
  void finish(const StreamKey& key, std::function<void()> done);
  // Bytes of this instance that a full disk or a broken file cost so far.
  uint64_t dropped(uint32_t id) const;
  // What a predecessor had counted; on_loss: called on the loop after each increase.
  void set_dropped(uint32_t id, uint64_t bytes);
  void on_loss(std::function<void(uint32_t id)> told);
  // Closes and reopens every file (after an outside rename); reloadLogs.
  void reopen();
  // Puts every file aside that is open and not empty.
  void rotate();
  // Other rules for the files of a stream's options, from now on.
  void set_rotation(const StreamOptions& options);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace tend::logs
