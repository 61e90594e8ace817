// What happened to each instance, kept on the disk (core/journal/history.h): how each process ended, why,
// what it printed last, what an autopsy found; and each change of what is known of its health. Learns by the
// event stream, and writes after the fact: no restart waits for it.
#pragma once

#include <sys/types.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/base/log.h"
#include "core/loop/loop.h"
#include "core/model/home.h"
#include "core/model/value.h"
#include "core/supervisor/event_bus.h"

namespace tend::supervisor {

class Chronicle {
 public:
  Chronicle(loop::Loop& loop, Log& log, const Home& home, EventBus& bus);
  // Kept with the end of that process, which is to come.
  void evidence(uint32_t id, uint32_t spawn, Value autopsy);
  // A process exited. Its event is to come, when the instance may have its successor's number and pid;
  // `app` has still the sides that belong to `before`.
  void exited(const Instance& app, const lifecycle::State& before, uint32_t spawn);
  // All that the process printed is in its files.
  void logs_ended(const Instance& app, uint32_t spawn);

 private:
  using Key = std::pair<uint32_t, uint32_t>;  // id, spawn
  struct Lived {
    int pid = 0;
    int64_t began = 0;  // ms since the epoch
  };
  struct Part {  // of a log file: what one process printed
    std::string path;
    off_t begin = 0, end = 0;
  };
  struct End {  // of one process, as far as it is known
    Map record;
    bool told = false;   // it is known what followed
    bool whole = false;  // and its last lines are where they can be read
    Part out, err;
  };
  struct Job {
    Map record;  // empty: the history is erased
    Part out, err;
  };
  void look_at(const Record& r);
  void process_ended(const Record& r);
  void replaced(const Record& r);
  void successor_failed(const Record& r);
  void followed(const Record& r, std::string_view what);
  static void describe(End& end, const Lived& lived, int64_t now);
  End& enter(const Key& key, const Record& r);
  void write_if_ready(const Key& key);
  Part part_of(const std::string& path);
  void forget(uint32_t id);
  static void add_tail(List& lines, const Part& part, bool inspected);
  void push(const std::string& path, Job job);
  void next();

  loop::Loop& loop_;
  Log& log_;
  const Home home_;
  std::map<Key, Lived> lived_;            // of processes that exited, until their end is written
  std::map<uint32_t, uint32_t> exited_;   // by id: the spawn that exited last
  std::map<std::string, off_t> printed_;  // by log file: where the present process began
  std::map<Key, End> ends_;
  std::map<Key, Value> evidence_;
  std::map<std::string, std::deque<Job>> jobs_;  // by history; each holds one at least
  std::deque<std::string> turns_;                // of those: whose first job is next
  bool busy_ = false;
  bool failing_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // a job may end after its owner
  EventBus::Subscription subscription_;
};

}  // namespace tend::supervisor
