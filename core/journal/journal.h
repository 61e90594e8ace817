// Durable state, two kinds (settled 3). Wanted: append-only checksummed records in the home, written by a pool thread and
// acknowledged after the write. Volatile: a memfd that the keeper holds, one slot per instance.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/lifecycle/instance_machine.h"
#include "core/loop/loop.h"
#include "core/model/value.h"

namespace tend::journal {

// One app instance as it is wanted. `body` is opaque here (the supervisor's map: spec, base env, slot …).
struct Record {
  uint32_t id = 0;
  Value body;  // null: the instance was deleted
};

class Journal {
 public:
  // Reads what is there. A torn or damaged tail is cut off at the last good record, with a warning. A record of an unknown
  // kind or a file of a newer version is an error (touch nothing). Another boot id: the records are returned with same_boot false.
  struct Loaded {
    std::vector<Record> records;  // the last body of each id, ascending, deleted ones left out
    uint32_t next_id = 0;         // one above the highest id ever used while any exists
    bool same_boot = true;      // also when there is no file
    std::string warning;        // one line for the log; "" when the whole file was good
  };
  static Result<Loaded> load(const std::string& path, const std::string& boot_id);
  // Where there is no file any more: writes what the open `fd` of it still has. False: there is one.
  static Result<bool> bring_back(const std::string& path, int fd);

  // `opened` is told of the file each time that it is another one; who keeps it open can bring it back.
  Journal(loop::Loop& loop, Log& log, std::string path, std::string boot_id,
          std::function<void(int fd)> opened = {});
  ~Journal();  // waits for the write in flight and writes what is queued; calls nobody
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Appends; calls done(true) on the loop once write(2) succeeded (no fsync), done(false) if the disk refused; then it is
  // retried every 2 s and durable() is false meanwhile. Order is kept. Consecutive appends share one write. The first append
  // of another boot empties the file: what is to be kept of it is appended again.
  void append(std::vector<Record> records, std::function<void(bool)> done);
  // Calls done when nothing of what was appended is under way any more, at once if nothing is; false: it waits for the disk.
  void settled(std::function<void(bool)> done);
  bool durable() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

std::string current_boot_id();

// The volatile slots. A slot holds two copies and the number of the valid one, so that a kill at any instruction leaves the
// old or the new one. Fixed layout with a version; REQUIRES: one writer.
struct Slot {
  uint32_t id = 0;
  int32_t pid = 0;               // of the current or last process
  int32_t other_pid = 0;         // of the second one in a reload
  lifecycle::State state;
  int64_t created_wall = -1;     // ms since the epoch; -1 none
  int64_t spawned_wall = 0;
  int64_t exited_wall = 0;
  uint64_t dropped_log_bytes = 0;
  char cause_text[96] = {};      // "user root: restart api"; who killed it; NUL-ended
  int64_t cause_wall = 0;
  bool answers = false;          // the present process said that it answers pings
  bool other_answers = false;
  bool watches = false;          // it has sent WATCHDOG=1
  // On their channels (ipc/node_channel.h): an ACK, the rest of a line.
  bool owes_ack = false, half_line = false, other_owes_ack = false, other_half_line = false;
  // What the processes said by sd_notify. Start: in clock ticks since boot, of a process that the app has named as
  // its main one, which `pid` is then; 0: pid is the keeper's child.
  uint64_t main_start = 0, other_start = 0;
  uint8_t notices = 0;           // the supervisor's bits, of main
  char status_text[143] = {};    // the begin of STATUS; NUL-terminated
  // What follows counts where its bit of `notices` is set: before, STATUS went on here.
  uint64_t accepts = 0;          // on which sockets the process accepts: Primary::accepting()
  int64_t watch_ms = 0;          // the period that the process gave with WATCHDOG_USEC; 0: none
  int64_t other_spawned_wall = 0;
};
static_assert(sizeof(Slot) == 472);  // of layout 6

class SlotTable {
 public:
  static Result<SlotTable> create(uint32_t capacity = 1024);  // a fresh memfd, grows by itself
  static Result<SlotTable> adopt(UniqueFd memfd);  // error: not ours; EPROTONOSUPPORT: of a newer version
  static Status check(int memfd);                  // whether adopt() would; changes nothing
  SlotTable(SlotTable&&) noexcept;
  SlotTable& operator=(SlotTable&&) noexcept;
  ~SlotTable();
  int fd() const;                    // borrowed: for the keeper
  bool put(const Slot& slot);        // by slot.id; a new id takes a free slot; false: no memory to grow
  void erase(uint32_t id);
  std::vector<Slot> all() const;
  uint32_t next_worker();            // 1, 2 …: no two that live have the same; counts on in who adopts the table

 private:
  struct Impl;
  explicit SlotTable(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tend::journal
