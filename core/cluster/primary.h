// Node's cluster protocol, the primary's side (protocols.md 2): answers what workers ask on their channels
// with sockets of the server table. Knows workers, not processes: who they are and how to reach them is the
// owner's.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/log.h"
#include "core/cluster/server_table.h"
#include "core/cluster/stalls.h"
#include "core/loop/loop.h"
#include "core/model/value.h"

namespace tend::cluster {

struct Worker {  // one process
  uint32_t id = 0;
  uint32_t spawn = 0;
  friend auto operator<=>(const Worker&, const Worker&) = default;
};

struct Membership {
  std::string group;  // the app: workers of one group share sockets
  uint32_t slot = 0;
  uint32_t slots = 1;  // how many the app has now
  Balance balance = Balance::reuseport;
  uint32_t percent = 0;  // > 0: on trial, for this part of the connections (not with balance shared)
  bool spare = false;    // gets no socket until serve(); `slot` means nothing
};

class Handoff;

class Primary {
 public:
  struct Owner {
    // One line on the worker's channel; with fd >= 0 (borrowed) riding on it. False: it cannot be reached.
    std::function<bool(const Worker&, const Value&, int fd)> send;
    // Its first frame came, or it accepts on one more server.
    std::function<void(const Worker&)> progressed;
    // May a server close that its last worker closed by itself? Not while that worker is being stopped.
    std::function<bool(const Worker&)> may_close;
    // It is alive, but leaves connections waiting.
    std::function<void(const Worker&)> stalled;
    // A spare asks for a socket: what waiting() gives has grown.
    std::function<void(const Worker&)> asked;
  };
  Primary(loop::Loop& loop, Log& log, Store& store, Owner owner);
  ~Primary();
  Primary(const Primary&) = delete;
  Primary& operator=(const Primary&) = delete;

  ServerTable& servers() { return table_; }

  void join(const Worker& worker, Membership membership);
  // A worker of a predecessor that lives; after servers().settle(). `serving`: it was online.
  // `accepting`, `waiting`: what those gave there.
  void adopt(const Worker& worker, Membership membership, bool serving, uint64_t accepting,
             const List& waiting);
  // On which servers it accepts: a bit for each, of its number modulo 64.
  uint64_t accepting(const Worker& worker) const;
  // The queries of a spare; with the program loaded up to its listen() they wait for serve().
  List waiting(const Worker& worker) const;
  // It is a spare no more: it gets the sockets of `slot` that it asked for.
  void serve(const Worker& worker, uint32_t slot);
  void message(const Worker& worker, const Value& frame);  // `cmd` is NODE_CLUSTER
  // A process that was given the socket itself (option `listen`) accepts on it from now on.
  void accepts(const Worker& worker, uint32_t server);
  // Its server.close() and process.disconnect() in order: the drain of a worker begins (protocols.md 2.6).
  void disconnect(const Worker& worker);
  // No new connections, no more answers.
  void retire(const Worker& worker);
  // The process is gone. What was on its way to it goes to others.
  void leave(const Worker& worker);
  // The app accepts no more: its sockets close.
  void release(std::string_view group);
  // One of its sockets does.
  void close(Server& server);

  // Does `worker` accept on everything that `old` has open? True when that is nothing.
  bool covers(const Worker& worker, const Worker& old) const;
  // The worker says that so many of its connections have closed (balance least).
  void connections_closed(const Worker& worker, int64_t count);

 private:
  friend class Handoff;
  struct Member {
    Membership membership;
    std::map<uint32_t, bool> servers;  // by number; true: it accepts
    std::vector<Value> waiting;        // queries that are not answered as long as it is a spare
    bool retired = false;
    uint32_t unanswered = 0;  // connections passed to it that it has not taken yet
    int64_t open = 0;         // connections passed to it, less those it reported closed
  };
  void query(const Worker& worker, Member& member, const Value& frame);
  Result<Server*> server_for(const Member& member, const Value& frame, const std::string& key);
  void answer(const Worker& worker, const Value& frame, Server& server, uint32_t slot);
  void refuse(const Worker& worker, const Value& frame, const std::string& key, int code);
  void began(const Worker& worker, Member& member, const Value& frame);
  void closed(const Worker& worker, Member& member, const Value& frame);
  void stop_accepting(const Worker& worker, Member& member, uint32_t server);
  void tell_stalled(const Server& server, uint32_t slot);
  bool is_used(uint32_t server) const;
  bool another_accepts(const Worker& worker, const Member& member, uint32_t server) const;

  Log& log_;
  Owner owner_;
  ServerTable table_;
  std::map<Worker, Member> members_;
  std::unique_ptr<Handoff> handoff_;
  Stalls stalls_;
  int64_t seq_ = 0;
};

}  // namespace tend::cluster
