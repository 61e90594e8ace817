// The RPC's methods: a row each, in rpc_<group>.cpp. core/model/api.h says what they take and give.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "core/supervisor/autosave.h"
#include "core/supervisor/supervisor.h"
#include "core/supervisor/upgrade.h"
#include "ipc/rpc_server.h"

namespace tend::supervisor {

using SharedCall = std::shared_ptr<ipc::Call>;

struct Daemon {  // what handlers may touch
  Supervisor& supervisor;
  int keeper_pid = 0;
  std::string keeper_version;  // "": of one that does not say
  int64_t keeper_upgrades = 0;
  std::function<void()> end;  // both daemons, once everything is stopped and answered
  Autosave* autosave = nullptr;  // borrowed, always there
  Upgrade* upgrade = nullptr;    // the same
};

struct Method {
  std::string_view name;
  void (*handle)(Daemon& daemon, const SharedCall& call);
};

std::span<const Method> start_methods();
std::span<const Method> app_methods();
std::span<const Method> canary_methods();
std::span<const Method> why_methods();
std::span<const Method> wait_methods();
std::span<const Method> talk_methods();
std::span<const Method> environment_methods();
std::span<const Method> daemon_methods();
std::string fresh_unique_id();  // of the form of a UUID
void dispatch(Daemon& daemon, const SharedCall& call);

// Stops every app, then calls `done` (kill, and the keeper's terminate).
void stop_all(Supervisor& supervisor, const Asked& asked, bool remove, std::function<void(List)> done);
// The apps as `save` writes them, and `resurrect` reads them: spec and wish only (settled 4).
Value saved_apps(const Supervisor& supervisor);
// One row of `list` (rows.cpp).
enum class Detail : uint8_t { brief, table, full };
// share_env: of its environment only the number (list).
Value row(Supervisor& supervisor, const Instance& app, Detail detail, bool share_env = false);

}  // namespace tend::supervisor
