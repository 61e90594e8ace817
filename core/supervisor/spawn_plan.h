// From an instance to the request that the keeper gets. Reads files (env_file, PATH): runs on the pool.
#pragma once

#include "core/base/result.h"
#include "core/keeper/client.h"
#include "core/model/home.h"
#include "core/supervisor/fd_store.h"
#include "core/supervisor/instance.h"

namespace tend::supervisor {

// Copies of what a plan needs, so that a pool thread touches nothing of the loop's.
struct PlanInput {
  Home home;
  uint32_t id = 0, spawn = 0, slot = 0;
  int64_t increment = -1;
  std::shared_ptr<const AppSpec> spec;
  std::shared_ptr<const BaseEnv> base_env;
  Identity identity;
  std::string unique_id;
  bool spare = false;
  uint32_t restarts = 0;
  uint32_t worker = 0;  // Node's cluster.worker.id: among all workers of this daemon; 0: not known
  std::vector<StoredFd> stored = {};  // what a former process left for this one
};

// A variable that belongs to one process alone, and must not be passed on.
bool is_private(std::string_view name);
PlanInput plan_input(const Home& home, const Instance& app);
// Whether the process gets Node's channel (settled 30).
bool speaks_node_channel(const AppSpec& spec);
// And any other program that is to have it: by its option; a script for Node that is called by another name;
// a line for the shell that begins with one of these; a shell script that is awaited, for the Node program in
// it may say that it is ready. Not more: Node aborts where the variable is inherited without the descriptor,
// as by children of Python (20.20.2; descriptor 3).
bool has_node_channel(const AppSpec& spec);
// Whether tend's preload answers pings in it (protocols.md 7.1); not where a debugger is expected.
bool answers_by_preload(const AppSpec& spec);
// Whether the sockets of the option `listen` are passed as descriptors from 3 on; a worker asks for them
// instead.
bool passes_sockets(const AppSpec& spec);
// How many descriptors it finds from 3 on: those sockets, then what was stored. Node's channel follows.
std::size_t listen_fds(const PlanInput& in);
// Whether it gets a NOTIFY_SOCKET, and whether it is told that its WATCHDOG=1 is awaited: Node answers pings.
bool may_notify(const AppSpec& spec, bool pm2);
bool may_keep_watchdog(const AppSpec& spec, bool pm2);
// Whether plan() has to look at the disk (PATH, env_file); if not it may run on the loop.
bool plan_reads_files(const AppSpec& spec);
// Where variables come from, in the order in which each is laid over the ones before.
struct Layer {
  enum class From : uint8_t { caller, python, env_file, env, tend };
  From from = From::caller;
  Env env;
};
// The caller's, filtered; env_file; env; what tend adds. Error: the env_file cannot be read.
Result<std::vector<Layer>> environment_layers(const PlanInput& in);
// The same as one: what the process gets.
Result<Env> environment(const PlanInput& in);
// Error: interpreter not found, env_file unreadable. child_fds and cgroup_fd are the executor's.
Result<keeper::SpawnRequest> plan(const PlanInput& in);

}  // namespace tend::supervisor
