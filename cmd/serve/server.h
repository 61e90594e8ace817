// The HTTP server: libmicrohttpd's event loops, and what is answered when.
#pragma once

#include <memory>

#include "cmd/serve/settings.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace tend::serve {

class Server {
 public:
  // `listener` is bound and listens. Error: no event loop could be had.
  static Result<Server> start(const Settings& settings, UniqueFd listener);
  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;
  ~Server();

  // To be called about once a second: sends slow and silent clients away.
  void tidy();
  // Takes no more connections, closes each one after the request it has, idle ones soon. Returns when none is
  // left, or settings.grace later.
  void drain();

 private:
  class State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tend::serve
