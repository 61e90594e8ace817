// A real keeper in a process of its own; the test holds the supervisors' ends of its sockets.
#pragma once

#include <sys/types.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/keeper/client.h"
#include "core/keeper/wire.h"

namespace tend::keeper {
class Keeper;
}

namespace tend::keeper::test {

inline constexpr uint64_t kEpoch = 0x1122334455667788;

struct Setup {
  int lives = 1;
  bool old_kernel = false;  // clone3 and close_range answer ENOSYS
  int patience_ms = 10000;  // with a supervisor that does not stir, and with apps that do not heed SIGTERM
  int files = 0;            // RLIMIT_NOFILE, and no privilege to exceed it; 0: as the test
  bool succeeds = false;    // the first end is a lost keeper's supervisor's
  int send_buffer = 0;      // of the keeper's ends; 0: as usual
  std::function<void(Keeper&)> begin = {};  // in its process, after open()
  void (*prepare)() = nullptr;  // called in the keeper's process before it opens
};

// Ends the keeper and everything that it started.
class TestKeeper {
 public:
  explicit TestKeeper(Setup setup = {});
  ~TestKeeper();
  TestKeeper(const TestKeeper&) = delete;
  TestKeeper& operator=(const TestKeeper&) = delete;
  UniqueFd take(size_t life = 0) { return std::move(ends_[life]); }
  pid_t pid() const { return pid_; }
  int wait();  // its wait status

 private:
  std::vector<UniqueFd> ends_;
  pid_t pid_ = -1;
};

// A supervisor's end without a loop.
class Peer {
 public:
  explicit Peer(UniqueFd socket) : socket_(std::move(socket)) {}
  static Peer greeted(TestKeeper& keeper, size_t life = 0);  // after hello, the answer not read
  static Peer synced(TestKeeper& keeper, size_t life = 0);   // after synced

  void send(Message message, std::span<const int> fds = {});
  void send(Kind kind, uint32_t id = 0, uint32_t spawn = 0, int64_t a = 0);
  void hold(const std::string& name, int fd);
  void drop(const std::string& name);
  void spawn(const SpawnRequest& request);
  // The next report; kind 0 when none came in 20 seconds or the keeper is gone.
  Report next();
  void close() { socket_.reset(); }
  int fd() const { return socket_.get(); }

 private:
  UniqueFd socket_;
  uint64_t serial_ = 0;
};

SpawnRequest program(uint32_t id, std::vector<std::string> argv);
SpawnRequest shell(uint32_t id, const std::string& script);
// Runs it with standard output into a pipe; what it wrote until the end.
std::string output_of(Peer& peer, SpawnRequest request);
std::string read_all(int fd);
UniqueFd unsealed(const std::string& bytes);  // a memfd
UniqueFd sealed(const std::string& bytes);

struct TempDir {
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string path;
};

}  // namespace tend::keeper::test
