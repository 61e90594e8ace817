// Clients that ask an HTTP server as fast as it answers, half of them over kept connections. What they lose
// is what the server's users would lose.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/units.h"

namespace tend::cli {

struct LoadTally {
  int64_t answered = 0;
  int64_t errors = 0;   // answers of 500 and above
  int64_t refused = 0;  // nobody took the connection
  int64_t cut = 0;      // taken, and closed without a whole answer
  int64_t late = 0;     // no answer in the client's time
  Millis gap{};         // the longest time in which nobody got an answer

  int64_t lost() const { return errors + refused + cut + late; }
};

class HttpLoad {
 public:
  // Begins at once, at 127.0.0.1. As any client does, one whose kept connection was closed before a byte of
  // the answer came asks once more over a new one.
  HttpLoad(uint16_t port, std::string path);
  ~HttpLoad();
  HttpLoad(const HttpLoad&) = delete;
  HttpLoad& operator=(const HttpLoad&) = delete;

  // From here on nothing counts as lost: the server is meant to be gone. What was sent before still does.
  void expect_end() { ending_ = true; }
  LoadTally stop();  // once

 private:
  void client(bool keeps);

  const uint16_t port_;
  const std::string request_, last_request_;  // keep-alive, close
  std::atomic<bool> stopping_ = false, ending_ = false;
  std::mutex mutex_;
  LoadTally tally_;
  std::vector<int64_t> answers_;  // monotonic ms of each answer
  int64_t began_ = 0;
  std::vector<std::thread> clients_;
};

// One request over a connection of its own. The answer's status, or 0: there was none.
int ask_http(uint16_t port, const std::string& path, Millis limit);
// Nobody has it now; on the loopback.
uint16_t free_port();

}  // namespace tend::cli
