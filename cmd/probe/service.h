// The helper's end of core/health/probe_wire.h: takes requests, times them, gives answers.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "cmd/probe/commands.h"
#include "cmd/probe/http_client.h"
#include "cmd/probe/names.h"
#include "core/base/clock.h"
#include "core/loop/poll.h"
#include "core/loop/timer.h"
#include "ipc/frame_reader.h"
#include "ipc/send_queue.h"

namespace tend::probe {

class Service {
 public:
  Service(loop::Loop& loop, UniqueFd socket, const rlimit& nofile);
  ~Service();
  // Until the caller is gone. Error: it sent what is no frame of ours.
  Status run();
  // What must not outlive this process.
  void kill_commands() { commands_.kill_all(); }

 private:
  struct Job;
  void on_socket(int events);
  void read();
  void take_frames();
  void begin(uint32_t number, uint64_t sequence, std::span<const std::byte> payload);
  std::unique_ptr<Attempt> make(uint32_t number, const health::ProbeRequest& request, Attempt::Done done);
  void timed_out(uint32_t number);
  void finish(uint32_t number, uint64_t sequence, const Answer& answer);
  void reply(uint32_t number, uint64_t sequence, const Answer& answer, Millis took);
  void drop(uint32_t number);
  void flush();
  void watch();
  void end(Status how);

  loop::Loop& loop_;
  UniqueFd socket_;
  SystemClock clock_;
  Names names_;
  Commands commands_;
  std::unique_ptr<HttpClient> http_;  // when it is first needed: the libraries behind it are large
  ipc::BufferPool pool_;
  ipc::FrameReader reader_{pool_};
  ipc::SendQueue queue_{pool_};
  loop::Poll poll_;
  std::unordered_map<uint32_t, std::unique_ptr<Job>> jobs_;
  std::vector<std::unique_ptr<Job>> done_;  // dropped when no callback of theirs runs any more
  Status outcome_;
  bool ended_ = false;
};

}  // namespace tend::probe
