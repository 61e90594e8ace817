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
  // Makes the home if needed. No value: another keeper has it. Error: not ours. Where the home has no working
  // lock, that of place_of() is the home's.
  static Result<std::optional<HomeLock>> take(const std::string& dir);

  // Binds tend.sock, again if it vanished or is somebody else's. REQUIRES: umask 077; the working directory
  // moves for a moment, since the path may be longer than a socket's name can be.
  Status listen();
  // The same, at first: where the home can have no socket lock and socket go elsewhere. False: another keeper
  // has gone there before.
  Result<bool> listen_or_move(const std::string& dir);
  // The same, later: in a home that is made again where it was deleted or moved away.
  Status listen_again(const std::string& dir);
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
  static Result<std::optional<HomeLock>> take_in(const std::string& dir);
  static Result<std::optional<HomeLock>> take_elsewhere(const std::string& dir);
  bool is_bound() const;
  bool is_folder(const std::string& dir) const;

  UniqueFd home_, lock_, listener_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace tend::keeper
