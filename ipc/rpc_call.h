// The server's Call: lives as long as its handler wants, also longer than its connection.
#pragma once

#include <memory>

#include "ipc/rpc_connection.h"
#include "ipc/rpc_wire.h"

namespace tend::ipc {

class RpcCall final : public Call {
 public:
  RpcCall(std::weak_ptr<RpcConnection> connection, uint32_t stream, std::string method, Value params,
          Peer peer);
  ~RpcCall() override;
  RpcCall(const RpcCall&) = delete;
  RpcCall& operator=(const RpcCall&) = delete;

  const std::string& method() const override { return method_; }
  const Value& params() const override { return params_; }
  const Peer& peer() const override { return peer_; }
  void reply(Value result) override;
  void error(std::string_view text, int code) override;
  bool item(Value v) override;
  void on_cancel(std::function<void()> cancelled) override { cancelled_ = std::move(cancelled); }
  bool open() const override { return open_; }
  uint64_t dropped() const override { return dropped_; }

  void cancel();  // by the connection
  void add_credit(uint32_t n) { credit_ = n > kMaxCredit - credit_ ? kMaxCredit : credit_ + n; }

 private:
  void finish(std::vector<uint8_t> payload);
  std::weak_ptr<RpcConnection> connection_;
  const uint32_t stream_;
  const std::string method_;
  const Value params_;
  const Peer peer_;
  std::function<void()> cancelled_;
  uint32_t credit_ = kInitialCredit;
  uint64_t dropped_ = 0;
  bool open_ = true;
};

}  // namespace tend::ipc
