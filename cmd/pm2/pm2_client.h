// The RPC of a running PM2 (compat.md section 6, wire format): a byte (version 1 << 4 | number of arguments),
// then for each a big-endian length and its bytes. Blocking.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/base/units.h"
#include "core/model/value.h"

namespace tend::pm2 {

class RealPm2 {
 public:
  // At `home`/rpc.sock. Error: code ENOENT or ECONNREFUSED when none runs there.
  static Result<RealPm2> connect(const std::string& home);
  // The first value of its answer. Error: what PM2 said, or that it did not answer in time; ECONNRESET: it
  // hung up.
  Result<Value> call(std::string_view method, List arguments, Millis limit);
  // Of its daemon's process; empty: it is gone, or the kernel does not tell.
  UniqueFd pidfd() const;

 private:
  explicit RealPm2(UniqueFd fd) : fd_(std::move(fd)) {}
  Status send(std::string_view bytes, Millis end);
  Status receive(char* into, std::size_t size, Millis end);
  Status await(short events, Millis end);

  UniqueFd fd_;
  int64_t calls_ = 0;
};

}  // namespace tend::pm2
