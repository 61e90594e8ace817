// What a person sees while a long request is on its way: how many processes are in which state, on one line
// of standard error that is gone afterwards. Only on a terminal, and only after a moment.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace tend::cli {

class Progress {
 public:
  // `socket` is the daemon's; a connection of its own asks, so that the request itself is not disturbed.
  explicit Progress(std::string socket);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();  // clears the line

 private:
  void run();
  bool over(int millis);  // waits; true when the request has ended

  const std::string socket_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  std::thread thread_;
};

}  // namespace tend::cli
