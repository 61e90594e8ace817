// `update`: the keeper is asked to take another program. If it does, this supervisor is ended with the call
// open.
#pragma once

#include <memory>
#include <string>

#include "core/keeper/client.h"
#include "ipc/rpc_server.h"

namespace tend::supervisor {

class Upgrade {
 public:
  explicit Upgrade(keeper::Client& keeper) : keeper_(keeper) {}
  void begin(const std::shared_ptr<ipc::Call>& call);
  void refused(const keeper::Report& report);

 private:
  keeper::Client& keeper_;
  std::shared_ptr<ipc::Call> call_;  // none: no order is under way
  std::string program_;
};

}  // namespace tend::supervisor
