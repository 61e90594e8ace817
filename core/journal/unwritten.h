// Records that were handed to the journal and are not in its file yet, in memory that the keeper holds: what
// this process does on their strength before the disk has them, its successor finds. A kill at any
// instruction leaves the former records or those and the new ones.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/journal/journal.h"

namespace tend::journal {

class Unwritten {
 public:
  static Result<Unwritten> create();               // a fresh memfd of 1 MiB; its pages come as they are used
  static Result<Unwritten> adopt(UniqueFd memfd);  // error: not ours
  Unwritten(Unwritten&&) noexcept;
  Unwritten& operator=(Unwritten&&) noexcept;
  ~Unwritten();
  int fd() const;  // borrowed: for the keeper
  // All of them or none. Where there is no room none is kept until clear(), as a part would undo what came
  // later.
  void put(std::span<const Record> records);
  void clear();                         // the file has them
  std::vector<Record> records() const;  // in the order in which they came

 private:
  struct Impl;
  explicit Unwritten(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tend::journal
