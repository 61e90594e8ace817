// Where a stream in lines mode keeps what it took from the pipe and has not written yet: a memfd whose open
// file description the keeper shares, so that a SIGKILL at any instant neither loses nor doubles a line.
//
// fill() is one splice(2): it consumes the pipe, stores, and advances the description's position, all or
// nothing. The position therefore says how much is stored. Page 0 is the note: how much of that was handled,
// and which write is under way. A log file's description, shared too, says by its own position whether that
// write happened.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/logs/sink.h"

namespace tend::logs {

std::string note_keepsake(const StreamKey& key);  // "note/<id>.<spawn>.<o or e>"

class Stash {
 public:
  static constexpr std::size_t kFiles = 2;  // an own and a combined one
  struct Target {
    uint64_t hash = 0;  // of the path; 0: none
    int64_t start = 0;  // position before the write
    int64_t length = 0;
  };

  static Result<Stash> create();
  static Result<Stash> adopt(UniqueFd fd);  // error: not one of ours
  Stash(Stash&& other) noexcept;
  Stash& operator=(Stash&& other) noexcept;
  ~Stash();

  int fd() const { return fd_.get(); }
  std::string_view data() const;  // stored, not handled
  bool continued() const;         // data() begins inside a line
  std::size_t room();             // what fill() can take; moves a rest to the front when that helps
  ssize_t fill(int pipe, std::size_t want);  // as splice(2)

  // The next `used` bytes of data() are about to be written to `targets`; commit() ends that.
  void begin(std::size_t used, bool continued_after, const std::array<Target, kFiles>& targets);
  void commit();
  // After adopt(): the write that was under way, if any.
  std::optional<std::size_t> pending() const;
  Target target(std::size_t i) const;
  bool written(std::size_t i) const;
  void set_written(std::size_t i);
  void set_target(std::size_t i,
                  const Target& target);  // of a write that is done again; REQUIRES: it is settled
  void set_settled(std::size_t i);        // forgets target(i): other streams may append from now on
  void release_memory();                  // after a burst; REQUIRES: data() is empty

 private:
  struct Note;
  Stash(UniqueFd fd, Note* note) : fd_(std::move(fd)), note_(note) {}
  std::size_t filled() const;
  std::size_t handled() const;
  const char* bytes() const;
  void seek(std::size_t filled);

  UniqueFd fd_;
  Note* note_ = nullptr;
};

}  // namespace tend::logs
