// Clustering seen from the instances: which of them are workers, what sockets they get, when one is ready,
// how one takes its leave. The protocol and the sockets are core/cluster's.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/cluster/primary.h"
#include "core/health/probe_wire.h"
#include "core/keeper/client.h"
#include "core/lifecycle/instance_machine.h"
#include "core/supervisor/instance.h"

namespace tend::supervisor {

// Whether Node's cluster protocol is spoken with it: mode cluster, and a Node that can (settled 30).
bool is_worker(const AppSpec& spec);
// Whether tend holds its sockets, so that a successor can run beside the old process.
bool reloads_without_gap(const AppSpec& spec);
// The instances that share sockets.
std::string group_of(const AppSpec& spec);
bool same_group(const AppSpec& a, const AppSpec& b);

class Workers final : private cluster::Store {
 public:
  struct Owner {
    std::function<void(uint32_t id, const lifecycle::Event&)> feed;
    std::function<Instance*(uint32_t id)> find;
    std::function<std::vector<Instance*>(const AppSpec& spec)> group;  // the instances that share its sockets
    std::function<void(uint32_t server, Value body)> note;             // durably; null: forget
    std::function<void(Instance&, uint32_t spawn, const Value& message)> said;  // none of Node's own or tend's
    std::function<void(const Instance&)> stalled;                      // it leaves connections waiting
    std::function<void(const Instance&)> noted;                        // its slot is
    std::function<void(const Instance&)> changed;                      // its record is to be written again
    std::function<std::vector<int>(const Instance&, uint32_t spawn)> pids;  // the process and its descendants
  };
  Workers(loop::Loop& loop, Log& log, keeper::Client& keeper, Owner owner);

  // What a predecessor left: sockets and what is known of them, then settle(), then each living process.
  void give_back(uint32_t server, const Value& body) { primary_.servers().give_back(server, body); }
  void give_back(std::string_view name, UniqueFd fd) { primary_.servers().give_back(name, std::move(fd)); }
  void settle() { primary_.servers().settle(); }
  void adopt(Instance& app, uint32_t spawn);

  // The sockets of the option `listen` for one process (borrowed), bound at the first call; in the option's
  // order. Error: an address is refused or cannot be bound.
  Result<std::vector<int>> sockets(const Instance& app);
  void joined(const Instance& app, uint32_t spawn);
  // A line of the app's channel.
  void message(uint32_t id, uint32_t spawn, const Value& message);
  // The other end of its channel was closed.
  void channel_ended(uint32_t id, uint32_t spawn);
  // READY=1 on its NOTIFY_SOCKET, or the message ready.
  void said_ready(uint32_t id, uint32_t spawn);
  // Its probe was answered often enough.
  void probed_ready(uint32_t id, uint32_t spawn);
  // Makes the request of a probe reach this process and no other of its app. False: that cannot be had.
  bool tell_apart(const Instance& app, uint32_t spawn, health::ProbeRequest& request);
  void became_online(const Instance& app);
  // A user's message on the channel. False: there is none, or it cannot be written.
  bool say(Instance& app, uint32_t spawn, const Value& message);
  // Asks a replaced process to finish. What cannot be asked is reported as drained at once.
  void drain(Instance& app, uint32_t spawn);
  void retire(const Instance& app, uint32_t spawn);  // no new connections
  // The process of a seat ended by itself: a spare that has loaded takes the seat, and the successor of the
  // dead one will be the spare. Null: there is none.
  Instance* replace_by_spare(Instance& dead);
  void ended(const Instance& app, uint32_t spawn);
  bool has_sockets(const AppSpec& spec) { return !primary_.servers().of(group_of(spec)).empty(); }
  // No instance of its app runs or will: the sockets close.
  void release(const AppSpec& spec) { primary_.release(group_of(spec)); }

 private:
  void hold(std::string_view name, int fd) override;
  void drop(std::string_view name) override;
  void note(uint32_t server, Value body) override;
  cluster::Membership membership(const Instance& app, uint32_t spawn) const;
  void mark(uint32_t id, uint32_t spawn, bool Side::*sign);  // one of the signs that it is ready
  void judge_ready(uint32_t id, uint32_t spawn);
  bool send(const cluster::Worker& worker, const Value& message, int fd);

  void ask_to_finish(Instance& app, uint32_t spawn);
  // One at a time for each process: a later one takes the place of an earlier.
  void after(Millis delay, uint32_t id, uint32_t spawn, std::function<void()> action);
  void wait_for_clients(const Instance& app, uint32_t spawn);
  void spare_asked(const cluster::Worker& worker);
  void note_waiting(Instance& app);

  loop::Loop& loop_;
  Log& log_;
  keeper::Client& keeper_;
  Owner owner_;
  cluster::Primary primary_;
  std::map<cluster::Worker, std::unique_ptr<loop::Timer>>
      settling_;  // retired, not yet asked to finish, or not asked
};

}  // namespace tend::supervisor
