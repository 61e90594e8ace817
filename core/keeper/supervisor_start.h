// Executing the supervisor: descriptor 3 its socket, 4 the listener, everything else closed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/keeper/keeper.h"
#include "core/base/console.h"

namespace tend::keeper {

class SupervisorStart {
 public:
  // The environment is the keeper's own, with TEND_EPOCH.
  SupervisorStart(std::string program, std::string home, bool pm2, uint64_t epoch,
                  Console console = Console::none);
  Result<Life> start(int listener) const;

 private:
  std::string program_;
  std::vector<std::string> arguments_;
  std::vector<std::string> environment_;
};

}  // namespace tend::keeper
