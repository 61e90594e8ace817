// What apps say by sd_notify(3), acted upon. Only the app's own processes count: the socket is one process's,
// and a sender belongs to that process's tree. One that ended before it could be looked at (a helper of a
// shell script that does not wait for its barrier) may say what it could do little harm with, READY and
// STATUS; it may not name a main process, store a descriptor or speak for the watchdog.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/journal/journal.h"
#include "core/keeper/client.h"
#include "core/supervisor/fd_store.h"
#include "core/supervisor/instance.h"
#include "core/supervisor/workers.h"
#include "core/tree/process_tree.h"

namespace tend::supervisor {

// Who takes the words of the watchdog, and hears that a process says goodbye. `period`: microseconds, 0: it
// will ping no more.
struct NoticeSinks {
  std::function<void(uint32_t id, uint32_t spawn)> stopping = [](uint32_t, uint32_t) {};
  std::function<void(uint32_t id, uint32_t spawn)> watchdog_ping = [](uint32_t, uint32_t) {};
  std::function<void(uint32_t id, uint32_t spawn)> watchdog_trigger = [](uint32_t, uint32_t) {};
  std::function<void(uint32_t id, uint32_t spawn, uint64_t period)> watchdog_period = [](uint32_t, uint32_t,
                                                                                         uint64_t) {};
};

class Notices {
 public:
  struct Parts {
    loop::Loop& loop;
    const Clock& clock;
    Log& log;
    keeper::Client& keeper;
    tree::ProcessTree& tree;
    Workers& workers;
  };
  struct Owner {
    std::function<void(uint32_t id, const lifecycle::Event&)> feed;
    std::function<Instance*(uint32_t id)> find;
    std::function<void(const Instance&)> changed;            // its slot is to be written
    std::function<void(const Instance&, int before)> moved;  // another process is its main one
  };
  Notices(Parts parts, Owner owner);

  NoticeSinks sinks;
  FdStore& store() { return store_; }

  // A socket for the process that `request` describes, held by the keeper too; its environment gets the name.
  Result<UniqueFd> open(keeper::SpawnRequest& request);
  void adopt(Instance& app, uint32_t spawn, UniqueFd socket);
  // The keeper tells the pid. Only now is it listened to what the process says.
  void started(Instance& app, uint32_t spawn, int pid);
  // The keeper's child ended: whether the app lives on in a process that it has named. Its end comes as an
  // event then, and the keeper's report is acknowledged after it.
  bool lives_on(Instance& app, uint32_t spawn);
  // A signal to the main process alone, if that is not the keeper's child. False: it is.
  bool signal(Instance& app, uint32_t spawn, int number);
  // The process is over; what the main one said of its end is kept with the instance.
  void ended(Instance& app, Side& side);
  void forget(uint32_t id) { store_.forget(id); }

  // For a successor of this process: what is not lost with it.
  static void note(const Instance& app, journal::Slot& slot);
  void recall(Instance& app, const journal::Slot& slot);
  void resume(Instance& app, uint32_t spawn);  // after the processes have their places again

 private:
  enum class Standing { ours, stranger, gone };
  void take(uint32_t id, uint32_t spawn, const ipc::NotifyMessage& message, const ipc::NotifySender& sender,
            std::span<UniqueFd> fds);
  void act(Instance& app, Side& side, uint32_t spawn, const ipc::NotifyLine& line);
  void keep(Instance& app, Side& side, const ipc::NotifyMessage& message, std::span<UniqueFd> fds);
  Standing standing(const Instance& app, Side& side, uint32_t spawn, int pid);
  bool descends(const Instance& app, const Side& side, uint32_t spawn, int pid);
  void name_main(Instance& app, Side& side, uint32_t spawn, int pid);
  bool follow(Instance& app, Side& side, uint32_t spawn, int pid, uint64_t start);
  void main_ended(uint32_t id, uint32_t spawn);
  std::string text_of(const Instance& app) const;

  Parts m_;
  Owner owner_;
  FdStore store_;
};

// "errno 2 (No such file or directory), exit status 3"; empty: it did not say why it failed.
std::string last_words(const Notified& said);

}  // namespace tend::supervisor
