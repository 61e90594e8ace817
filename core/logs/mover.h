// The jobs: from a pipe into files. Run on the pool; a Source belongs to one job at a time.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/logs/line_format.h"
#include "core/logs/log_file.h"
#include "core/logs/sink.h"
#include "core/logs/stash.h"

namespace tend::logs {

struct Source {
  UniqueFd pipe;
  std::vector<std::shared_ptr<LogFile>> files;  // none: drop everything; at most Stash::kFiles
  std::unique_ptr<LineFormat> format;           // lines mode
  std::optional<Stash> stash;                   // lines mode
};

struct Moved {
  uint64_t dropped = 0;  // bytes that no file took
  bool eof = false;
  bool tried = false;                             // there was something to write
  bool more = false;                              // the budget ended first
  std::array<std::string, Stash::kFiles> errors;  // by file, "" fine
  std::array<bool, Stash::kFiles> full = {};      // by file: it is to be put aside
};

struct Turn {
  Millis now, wall;
  bool last = false;  // the process is gone: take what is there, write also a line without end
  const std::atomic<bool>* stop = nullptr;
};

Moved move(Source& source, const Turn& turn);
bool drained(const Source& source);  // neither its pipe nor its stash holds a byte
bool has_writer(int pipe);
// What a predecessor was writing to target `i`, open as `fd`, when it was killed: done, or undone.
void settle(Stash& stash, std::size_t i, int fd);

}  // namespace tend::logs
