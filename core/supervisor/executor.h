// Carries out what the lifecycle machine decides. An action only sends; what comes of it is an event.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string_view>
#include <tuple>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/unique_fd.h"
#include "core/keeper/client.h"
#include "core/lifecycle/instance_machine.h"
#include "core/logs/sink.h"
#include "core/loop/loop.h"
#include "core/base/console.h"
#include "core/model/home.h"
#include "core/supervisor/heartbeats.h"
#include "core/supervisor/instance.h"
#include "core/supervisor/log_rotation.h"
#include "core/supervisor/notices.h"
#include "core/supervisor/spawn_plan.h"
#include "core/supervisor/workers.h"
#include "core/tree/process_tree.h"

namespace tend::supervisor {

struct Mechanisms {
  loop::Loop& loop;
  const Clock& clock;
  Log& log;
  Home home;
  keeper::Client& keeper;
  tree::ProcessTree& tree;
  logs::LogWriter& logs;
  LogRotation& rotation;
  Console console = Console::none;
};

class Executor {
 public:
  using Feed = std::function<void(uint32_t id, const lifecycle::Event& event)>;
  using Find = std::function<Instance*(uint32_t id)>;
  using LogsEnded = std::function<void(uint32_t id, uint32_t spawn)>;  // all that it printed is in its files
  using Noted = std::function<void(const Instance& app)>;              // its slot is to be written, at once
  Executor(Mechanisms mechanisms, Workers& workers, Heartbeats& heartbeats, Notices& notices, Feed feed,
           Find find, LogsEnded logs_ended, Noted noted);

  void run(Instance& app, const lifecycle::Action& action);
  void signal(Instance& app, uint32_t spawn, int number);
  // The process and its tree are gone: its logs are moved to the end, its descriptors and its cgroup are let
  // go.
  void process_ended(Instance& app, uint32_t spawn);
  std::function<uint32_t()> next_worker = [] { return 1; };  // of each process that is a worker
  // Descriptors that a predecessor had in the keeper.
  void adopt_log(Instance& app, uint32_t spawn, logs::Channel channel, UniqueFd pipe);
  void adopt_input(Instance& app, uint32_t spawn, UniqueFd pipe);
  void adopt_channel(Instance& app, uint32_t spawn, UniqueFd socket);
  // The rules for its log files have changed.
  void set_rotation(const Instance& app);
  // Creates the files of an instance, before its first process.
  void prepare_logs(const Instance& app);

 private:
  void spawn(Instance& app, uint32_t number);
  void planned(const PlanInput& in, Result<keeper::SpawnRequest> request);
  Status hand_over(Instance& app, const PlanInput& in, keeper::SpawnRequest& request);
  logs::StreamOptions stream_options(const Instance& app, logs::Channel channel) const;
  tree::Member member(Instance& app, uint32_t spawn) const;
  Mechanisms m_;
  Workers& workers_;
  Heartbeats& heartbeats_;
  Notices& notices_;
  Feed feed_;
  Find find_;
  LogsEnded logs_ended_;
  Noted noted_;
  std::set<std::tuple<uint32_t, uint32_t, logs::Channel>> big_pipes_;  // of living processes
};

// The name under which the keeper holds a descriptor of one process: "out/3.7".
std::string keep_name(std::string_view kind, uint32_t id, uint32_t spawn);

}  // namespace tend::supervisor
