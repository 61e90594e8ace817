// The home of a daemon belongs to the one keeper that holds its lock; only that one may put the socket there.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace tend::keeper {

struct StateHead;

class HomeLock {
 public:
  // Makes the home if needed. No value: another keeper has it. Error: not ours, or no working lock there.
  static Result<std::optional<HomeLock>> take(const std::string& dir);

  // Binds tend.sock, again if it vanished or is somebody else's. REQUIRES: umask 077; the working directory
  // moves for a moment, since the path may be longer than a socket's name can be.
  Status listen();
  // The listener of a keeper that was lost, which its supervisor had kept open: who connected meanwhile waits
  // there.
  void inherit(UniqueFd listener);
  int listener() const { return listener_.get(); }
  // What a command line that gets no answer may tell its user; "": nothing any more. In the file `safe-mode`.
  void tell(std::string_view text) const;
  void remove_socket();

  // Over an execve of the keeper.
  void save(StateHead& state) const;
  static HomeLock restore(const StateHead& state);

 private:
  HomeLock(UniqueFd home, UniqueFd lock) : home_(std::move(home)), lock_(std::move(lock)) {}
  bool is_bound() const;

  UniqueFd home_, lock_, listener_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace tend::keeper
