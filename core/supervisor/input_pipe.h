// The standard input of one process: a pipe of which the keeper holds this end too, so that it neither ends
// nor loses what is in it while a supervisor is replaced. The app sees no end of file.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/loop/poll.h"
#include "core/loop/timer.h"

namespace tend::supervisor {

class InputPipe {
 public:
  using Done = std::function<void(const Status&)>;  // once for each write; may not destroy the pipe
  // `fd`: its open file description becomes non-blocking; the app's end has one of its own.
  InputPipe(loop::Loop& loop, UniqueFd fd, Millis patience = Millis{5000});
  ~InputPipe();  // who waits is told that the process ended
  InputPipe(const InputPipe&) = delete;
  InputPipe& operator=(const InputPipe&) = delete;

  // `done` when all of it is in the pipe, whole and after what was written before. Error: the app has closed
  // its end, or does not read: nothing moved for 5 s, or 1 MiB waits already. Then none of it arrives, but
  // for a text whose begin is in the pipe: its rest follows when the app reads on. Texts up to PIPE_BUF (4096
  // bytes) are never torn, not by a kill either.
  void write(std::string text, Done done);

 private:
  struct Text {
    std::string rest;
    bool begun = false;
    Done done;  // null: was told already
  };
  void flush();
  void wait_for_room();
  void rest();
  void give_up();
  void refuse_all(const Error& error);
  loop::Loop& loop_;
  UniqueFd fd_;
  std::unique_ptr<loop::Poll> poll_;  // from the first time that the pipe is full
  std::unique_ptr<loop::Timer> patience_;
  std::deque<Text> texts_;
  std::size_t waiting_ = 0;  // bytes
  const Millis limit_;
  bool armed_ = false;  // somebody waits with patience
};

}  // namespace tend::supervisor
