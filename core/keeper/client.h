// The supervisor's end of the keeper's socket: requests out, reports in, as plain data.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/keeper/mirror.h"
#include "core/keeper/protocol.h"
#include "core/loop/loop.h"

namespace tend::keeper {

// What one process is to be. Strings are copied into the blob by spawn().
struct SpawnRequest {
  uint32_t id = 0;
  uint32_t spawn = 0;
  std::string path;  // absolute; PATH was searched before
  std::string cwd;
  std::vector<std::string> argv;
  std::vector<std::string> env;  // KEY=VALUE
  std::vector<uint32_t> groups;  // supplementary; used when uid is set
  int32_t uid = -1, gid = -1, umask = -1, nice = 0;
  int64_t nofile = 0;
  SpawnExtras extras;
  int cgroup_fd = -1;            // borrowed
  std::vector<int> child_fds;    // borrowed; become 0, 1, 2, 3… in the child
  std::optional<Repeat> repeat;  // none: the keeper never starts it again by itself
  Millis repeat_delay{0};
};

struct Report {
  Kind kind{};
  uint32_t id = 0, spawn = 0;
  int64_t a = 0, b = 0, c = 0;
  std::string name;  // held
  UniqueFd fd;       // held
  uint32_t flags = 0;
};

class Client {
 public:
  // `socket`: the SEQPACKET end that the keeper left at descriptor 3. `report` is called on the loop in
  // order; `lost` when the keeper's end closed. Neither may destroy the client.
  Client(loop::Loop& loop, UniqueFd socket, uint64_t epoch, std::function<void(Report)> report,
         std::function<void()> lost);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void hello();
  // Error: the blob is too large or descriptors ran out; nothing was sent, no report will come.
  Status spawn(const SpawnRequest& request);
  void ack(uint32_t id, uint32_t spawn);
  // It is not wanted any more (Kind::forsake).
  void forsake(uint32_t id, uint32_t spawn);
  // So many of its repeats were counted.
  void noted(uint32_t id, uint32_t spawn, uint32_t repeats);
  void signal(uint32_t id, uint32_t spawn, int number);
  // Duplicates; takes effect before any later request. Error: the name is too long or descriptors ran out.
  Status hold(std::string_view name, int fd);
  void drop(std::string_view name);
  void serving();
  void shutdown();
  Mirror& mirror();
  // `program`: opened by O_PATH, duplicated. See Kind::upgrade.
  Status upgrade(int program);
  bool idle() const;  // nothing is queued: the keeper has every request

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tend::keeper
