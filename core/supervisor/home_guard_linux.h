// Notices that the home, or the socket in it, is not where callers look for it any more.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>

#include "core/base/unique_fd.h"
#include "core/loop/loop.h"
#include "core/loop/poll.h"
#include "core/model/home.h"

namespace tend::supervisor {

class HomeGuard {
 public:
  // Calls `gone` once, on the loop. Where inotify is not to be had nothing is noticed.
  HomeGuard(loop::Loop& loop, const Home& home, std::function<void()> gone);
  // Whether a daemon that was started since then has the home.
  bool is_anothers() const;

 private:
  bool is_there() const;
  void look();

  Home home_;
  dev_t device_ = 0;
  ino_t inode_ = 0;  // of the socket's name
  dev_t home_device_ = 0;
  ino_t home_inode_ = 0;
  UniqueFd inotify_;
  std::unique_ptr<loop::Poll> readable_;
  std::function<void()> gone_;
};

}  // namespace tend::supervisor
