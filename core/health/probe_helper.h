// One tend-probe process and the socket to it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/base/log.h"
#include "core/health/probe_wire.h"
#include "core/loop/poll.h"
#include "ipc/frame_reader.h"
#include "ipc/send_queue.h"

namespace tend::health {

// Lives until `ended` told that the process is gone and reaped; that callback may destroy it, no other may.
// Dropped before, it lets go of the socket, which ends the process; who reaps it then is the caller's parent.
class ProbeHelper {
 public:
  struct Events {
    std::function<void(uint32_t number, uint64_t sequence, ProbeReply)> reply;
    std::function<void(ProbeHelper& self, const std::string& how)> ended;  // "exit code 1", "signal 9"
  };
  // Returns once the program is executed: its name is known to exist, nothing was waited for.
  static Result<std::unique_ptr<ProbeHelper>> start(loop::Loop& loop, const std::string& program,
                                                    Events events);
  ~ProbeHelper();
  ProbeHelper(const ProbeHelper&) = delete;
  ProbeHelper& operator=(const ProbeHelper&) = delete;

  // False: it does not read, or is ending; nothing was sent.
  bool ask(uint32_t number, uint64_t sequence, const ProbeRequest& request);
  void cancel(uint32_t number);
  void end();   // politely: the end of the socket
  void kill();  // at once
  int pid() const { return pid_; }

 private:
  ProbeHelper(loop::Loop& loop, int pid, UniqueFd pidfd, UniqueFd socket, Events events);
  void on_socket(int events);
  void read();
  bool take_frames();
  void flush();
  void watch();
  void reap();

  Events events_;
  int pid_;
  UniqueFd pidfd_;
  UniqueFd socket_;
  ipc::BufferPool pool_;
  ipc::FrameReader reader_{pool_};
  ipc::SendQueue queue_{pool_};
  std::unique_ptr<loop::Poll> exit_poll_;
  std::unique_ptr<loop::Poll> socket_poll_;
  bool ending_ = false;
};

}  // namespace tend::health
