// One accepted connection of the RPC server: frames in, streams, frames out.
#pragma once

#include <memory>
#include <unordered_map>

#include "core/loop/poll.h"
#include "ipc/buffer_pool.h"
#include "ipc/frame_reader.h"
#include "ipc/rpc_server.h"
#include "ipc/send_queue.h"

namespace tend::ipc {

class RpcCall;
class RpcConnection;

// What a connection needs of its server.
struct RpcHost {
  RpcHost(loop::Loop& l, Log& o, RpcLimits m) : loop(l), log(o), limits(m) {}
  virtual ~RpcHost() = default;
  virtual void request(std::shared_ptr<Call> call) = 0;
  virtual void closed(RpcConnection& connection) = 0;  // may drop it: the caller holds on to itself
  virtual void partial_began() = 0;                    // the server looks again after limits.partial_frame
  loop::Loop& loop;
  Log& log;
  const RpcLimits limits;
  std::string version;
  BufferPool pool;
  uint64_t clock = 0;  // counts frames: who was active last
};

class RpcConnection : public std::enable_shared_from_this<RpcConnection> {
 public:
  RpcConnection(const std::shared_ptr<RpcHost>& host, UniqueFd fd, Peer peer);
  void start();  // sends hello, begins to read
  // Calls on_cancel of every open stream. REQUIRES of this and of close paths: the caller holds a shared_ptr.
  void close(std::string_view why);
  // One error frame for the whole connection, then closed.
  void refuse(std::string_view why, int code);

  bool idle() const { return streams_.empty() && out_.bytes() == 0; }
  std::size_t queued() const { return out_.bytes(); }
  uint64_t active() const { return active_; }
  Millis partial_since() const { return partial_since_; }  // 0: no frame is under way
  const Peer& peer() const { return peer_; }

  // For RpcCall. None of them closes at once: that happens from the loop.
  void finish(uint32_t stream, std::vector<uint8_t> payload);
  bool send_item(uint32_t stream, std::vector<uint8_t> payload);

 private:
  void on_ready(int events);
  void read();
  bool drain(RpcHost& host);  // handles whole frames; false when the connection is closed
  void handle(RpcHost& host, const Frame& frame);
  void on_hello(const Frame& frame);
  void on_request(RpcHost& host, const Frame& frame);
  void on_credit(const Frame& frame);
  void on_cancel(uint32_t stream);
  void send(FrameKind kind, uint32_t stream, std::vector<uint8_t> payload);
  void schedule();
  void flush();

  std::weak_ptr<RpcHost> host_;
  loop::Loop& loop_;
  const std::size_t queue_limit_;
  UniqueFd fd_;
  std::unique_ptr<loop::Poll> poll_;  // after fd_: dropped before it
  const Peer peer_;
  FrameReader reader_;
  SendQueue out_;
  std::unordered_map<uint32_t, std::weak_ptr<RpcCall>> streams_;
  uint64_t sent_ = 0;
  uint64_t received_ = 0;
  uint64_t active_ = 0;
  Millis partial_since_{};
  bool greeted_ = false;
  bool flush_scheduled_ = false;
  bool overflowed_ = false;
  bool closed_ = false;
};

}  // namespace tend::ipc
