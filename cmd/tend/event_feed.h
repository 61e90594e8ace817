// The daemon's events beside a program that waits for signals too: a thread reads them, an eventfd tells.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/model/value.h"

namespace tend::cli {

class EventFeed {
 public:
  // Connects again when the daemon's supervisor is replaced; each connection begins with a null event,
  // because something may have been missed.
  explicit EventFeed(std::string socket);
  ~EventFeed() { finish(); }
  EventFeed(const EventFeed&) = delete;
  EventFeed& operator=(const EventFeed&) = delete;

  int fd() const { return wake_.get(); }  // readable: take() has something
  std::vector<Value> take();
  bool connected() const { return connected_; }
  // Reads what is left. REQUIRES: the daemon has ended, or its connection would hold this up.
  void finish();

 private:
  void read();
  void put(const Value& event);

  const std::string socket_;
  UniqueFd wake_;
  std::mutex mutex_;
  std::vector<Value> events_;
  std::atomic<bool> ended_ = false;
  std::atomic<bool> connected_ = false;
  std::thread thread_;
};

}  // namespace tend::cli
