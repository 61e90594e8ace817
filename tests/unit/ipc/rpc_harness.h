// A server on a loop of its own thread.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/loop/poll.h"
#include "ipc/rpc_client.h"
#include "ipc/rpc_server.h"

namespace tend::ipc::test {

class QuietLog final : public Log {
 public:
  void info(std::string_view line) override { keep(line); }
  void warn(std::string_view line) override { keep(line); }
  void error(std::string_view line) override { keep(line); }
  bool has(std::string_view part) {
    const std::lock_guard lock(mutex_);
    return all_.find(part) != std::string::npos;
  }

 private:
  void keep(std::string_view line) {
    const std::lock_guard lock(mutex_);
    all_.append(line).append("\n");
  }
  std::mutex mutex_;
  std::string all_;
};

struct TempDir {
  std::string path;
  TempDir() {
    char name[] = "/tmp/tend-ipc-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~TempDir() { std::filesystem::remove_all(path); }
};

inline UniqueFd listen_at(const std::string& path, int backlog = 128) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un a{};
  a.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof a.sun_path);
  std::memcpy(a.sun_path, path.data(), path.size());
  REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&a), sizeof a) == 0);
  REQUIRE(::listen(fd.get(), backlog) == 0);
  return fd;
}

// Counts what happens on the loop's thread; the test waits for it.
class Events {
 public:
  void add() {
    const std::lock_guard lock(mutex_);
    ++n_;
    changed_.notify_all();
  }
  bool wait(int n) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return n_ >= n; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int n_ = 0;
};

class Served {
 public:
  using Handler = std::function<void(std::shared_ptr<Call>)>;
  explicit Served(Handler handler, RpcLimits limits = {}) : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    UniqueFd listener = listen_at(path);
    std::promise<void> up;
    thread_ = std::thread([&, this, l = std::make_shared<UniqueFd>(std::move(listener))] {
      loop::Loop loop;
      loop::Poll poll(loop, wake_.get(), [&, this](int) {
        eventfd_t v = 0;
        ::eventfd_read(wake_.get(), &v);
        std::vector<std::function<void()>> tasks;
        {
          const std::lock_guard lock(mutex_);
          tasks.swap(tasks_);
        }
        for (auto& t : tasks) t();
      });
      poll.watch(UV_READABLE);
      loop_ = &loop;
      server = std::make_unique<RpcServer>(loop, log, std::move(*l), "1.2.3", handler, limits);
      up.set_value();
      loop.run();
      server.reset();
      before_end();
    });
    up.get_future().wait();
  }
  ~Served() {
    run([this] { loop_->stop(); });
    thread_.join();
  }
  // On the loop's thread; returns when it is done.
  void run(const std::function<void()>& task) {
    std::promise<void> done;
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back([&] {
        task();
        done.set_value();
      });
    }
    ::eventfd_write(wake_.get(), 1);
    done.get_future().wait();
  }

  loop::Loop& loop() { return *loop_; }  // on its thread only

  TempDir dir;
  std::string path = dir.path + "/tend.sock";
  QuietLog log;
  std::unique_ptr<RpcServer> server;  // touch on the loop's thread only
  std::function<void()> before_end = [] {};

 private:
  UniqueFd wake_;
  std::mutex mutex_;
  std::vector<std::function<void()>> tasks_;
  loop::Loop* loop_ = nullptr;
  std::thread thread_;
};

}  // namespace tend::ipc::test
