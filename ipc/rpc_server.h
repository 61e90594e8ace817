// The supervisor's side of the RPC: full duplex, many streams per connection, cancel, flow control. Knows no
// method.
#pragma once

#include <sys/types.h>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/base/units.h"
#include "core/loop/loop.h"
#include "core/model/value.h"

namespace tend::ipc {

struct Peer {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
};

// One open request. Held by shared_ptr by the handler; dropping the last reference without reply() answers
// with an error.
class Call {
 public:
  virtual ~Call() = default;
  virtual const std::string& method() const = 0;
  virtual const Value& params() const = 0;
  virtual const Peer& peer() const = 0;
  virtual void reply(Value result) = 0;                         // ends the stream; once
  virtual void error(std::string_view text, int code = 1) = 0;  // ends the stream; once
  // Streams: false when the peer has no credit left (the item was counted as dropped, not queued) or is gone.
  virtual bool item(Value v) = 0;
  virtual void on_cancel(std::function<void()> cancelled) = 0;  // cancel frame, or the connection closed
  virtual bool open() const = 0;
  virtual uint64_t dropped() const = 0;  // items that item() could not send
};

struct RpcLimits {
  std::size_t connections = 1024;  // beyond: the oldest idle one is closed
  std::size_t streams = 256;       // per connection
  std::size_t queued = 64u << 20;  // bytes waiting to be written per connection; beyond: closed
  Millis partial_frame{30'000};    // a frame that does not end within this closes its connection
};

class RpcServer {
 public:
  // `listener`: a listening non-blocking unix socket. `version` goes into hello. Peers other than this uid
  // and root are refused by SO_PEERCRED with one error frame.
  RpcServer(loop::Loop& loop, Log& log, UniqueFd listener, std::string version,
            std::function<void(std::shared_ptr<Call>)> handler, RpcLimits limits = {});
  ~RpcServer();
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;
  void stop_listening();
  bool idle() const;  // nothing is queued for any peer

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the callbacks that are running while it is destroyed
};

}  // namespace tend::ipc
