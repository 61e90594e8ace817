#include "ipc/rpc_call.h"

#include "core/base/failpoint.h"
#include "ipc/frame.h"

namespace tend::ipc {

RpcCall::RpcCall(std::weak_ptr<RpcConnection> connection, uint32_t stream, std::string method, Value params,
                 Peer peer)
    : connection_(std::move(connection)),
      stream_(stream),
      method_(std::move(method)),
      params_(std::move(params)),
      peer_(peer) {}

RpcCall::~RpcCall() {
  if (open_) error("the daemon gave '" + method_ + "' no answer", 1);
}

void RpcCall::reply(Value result) {
  if (!open_) return;
  auto payload = ok_payload(std::move(result));
  if (payload.size() > kMaxPayload) {
    return error("the answer to '" + method_ + "' is " + std::to_string(payload.size()) +
                     " bytes, more than a frame takes (" + std::to_string(kMaxPayload) + ")",
                 EMSGSIZE);
  }
  finish(std::move(payload));
}

void RpcCall::error(std::string_view text, int code) {
  if (open_) finish(error_payload(text.substr(0, kMaxPayload / 2), code));
}

void RpcCall::finish(std::vector<uint8_t> payload) {
  failpoint("reply.before");
  open_ = false;
  // The callback may hold this very call: it goes last, and not while it runs.
  const auto released = std::exchange(cancelled_, nullptr);
  if (const auto connection = connection_.lock()) connection->finish(stream_, std::move(payload));
  failpoint("reply.after");
}

bool RpcCall::item(Value v) {
  if (!open_) return false;
  const auto connection = connection_.lock();
  if (!connection || credit_ == 0) {
    ++dropped_;
    return false;
  }
  auto payload = to_msgpack(v);
  if (payload.size() > kMaxPayload || !connection->send_item(stream_, std::move(payload))) {
    ++dropped_;
    return false;
  }
  --credit_;
  return true;
}

void RpcCall::cancel() {
  open_ = false;
  if (const auto cancelled = std::exchange(cancelled_, nullptr)) cancelled();
}

}  // namespace tend::ipc
