// The command line's side of the RPC: blocking, with a deadline. No loop: a short-lived process does one
// thing.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/base/units.h"
#include "core/model/value.h"

namespace tend::ipc {

inline constexpr int kDeadlineCode = 110;  // Error::code of an expired deadline (ETIMEDOUT)

class RpcClient {
 public:
  // Connects to the unix socket at `path`, also when it is longer than sun_path (chdir and a relative name;
  // the working directory is restored). Error: code ENOENT or ECONNREFUSED when nobody listens.
  static Result<RpcClient> connect(const std::string& path);
  RpcClient(RpcClient&&) noexcept;
  RpcClient& operator=(RpcClient&&) noexcept;
  ~RpcClient();

  // Sends hello (when not yet sent), the request, waits for its reply. Error: what the daemon said, with its code made
  // negative, so that it is never taken for an errno of this side (1: failed, 2: usage); or
  // "no answer to 'restart' from the daemon (pid N) within 30s" with kDeadlineCode.
  // Items before the reply go to `item`, if there is one.
  Result<Value> call(std::string_view method, const Value& params, Millis deadline,
                     const std::function<void(const Value&)>& item = {});
  // Reads items until `item` returns false (then cancels), the stream ends, or the daemon goes away (error).
  Status stream(std::string_view method, const Value& params, const std::function<bool(const Value&)>& item);
  const std::string& daemon_version() const;  // from its hello; "" before the first call

 private:
  struct Impl;
  explicit RpcClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tend::ipc
