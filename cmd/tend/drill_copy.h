// A copy of an app in a home and under a daemon of its own, both of which end with this program: whatever is
// done to it, the app itself is not touched.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cmd/tend/session.h"
#include "core/model/home.h"

namespace tend::cli {

struct CopyOf {
  List items;  // of the app, as they are saved
  std::string name;
  std::string port_variable;
};

class DrillCopy {
 public:
  // Makes the home and its daemon. Error: no folder, or the daemon did not come up.
  static Result<DrillCopy> make(CopyOf what);
  DrillCopy(DrillCopy&&) noexcept;
  DrillCopy& operator=(DrillCopy&&) = delete;
  ~DrillCopy();  // ends everything and removes the home

  // Adds the app under `name`, its sockets and its PORT moved to `port`; `once`: it is not started again when
  // it ends. Error: what the daemon said of the first that failed.
  Status start(const std::string& name, uint16_t port, bool once);
  Status act(std::string_view verb, const std::string& name, Map changes = {});
  List rows(const std::string& name);
  std::string log_end(const std::string& name);  // its last words on standard error, one line; "" none

 private:
  DrillCopy(CopyOf what, Home home, pid_t keeper)
      : what_(std::move(what)), home_(std::move(home)), keeper_(keeper) {}
  Result<Value> ask(std::string_view method, const Map& params);

  CopyOf what_;
  Home home_;
  pid_t keeper_ = 0;
};

}  // namespace tend::cli
