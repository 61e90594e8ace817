// Each of the two daemons executes the other one when that is lost: descriptor 3 its socket, 4 the listener,
// everything else closed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/console.h"
#include "core/base/result.h"
#include "core/keeper/keeper.h"
#include "core/model/home.h"

namespace tend::keeper {

class SupervisorStart {
 public:
  // The environment is the keeper's own, with TEND_EPOCH and TEND_HERITAGE.
  SupervisorStart(std::string program, const Home& home, uint64_t epoch, const std::string& heritage,
                  Console console);
  // `lost`: another daemon has the home; TEND_LOST_HOME tells.
  Result<Life> start(int listener, bool lost) const;

 private:
  std::string program_;
  std::vector<std::string> arguments_;
  std::vector<std::string> environment_;
};

// The supervisor's turn: a keeper in the place of the one that was lost (Options::succeeds), by this very
// program. Its heritage is in this process' environment. Returns the supervisor's end of the link.
Result<UniqueFd> start_successor(const Home& home, uint64_t epoch, int listener, Console console);

}  // namespace tend::keeper
