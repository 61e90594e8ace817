#include "core/journal/journal.h"

#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <utility>

#include "core/base/text.h"
#include "core/journal/record.h"
#include "core/journal/writer.h"
#include "core/loop/timer.h"
#include "core/loop/work.h"

namespace tend::journal {
namespace {

constexpr Millis kRetry{2000};

// What the pool thread takes and leaves.
struct Flight {
  std::string bytes;
  Status result;
  std::string warning;
  std::mutex mutex;
  std::condition_variable landed;
  bool over = false;
};

}  // namespace

struct Journal::Impl : std::enable_shared_from_this<Impl> {
  using Done = std::function<void(bool)>;

  Impl(loop::Loop& l, Log& g, std::string path, std::string boot_id, std::function<void(int)> told)
      : loop(l),
        log(g),
        opened(std::move(told)),
        writer(std::make_shared<Writer>(std::move(path), std::move(boot_id))),
        retry(std::make_unique<loop::Timer>(l, [this] { write(); })) {}

  void write() {
    if (flight || !retry) return;
    if (queued.empty()) {
      for (Done& d : std::exchange(waiting, {})) d(true);
      return;
    }
    flight = std::make_shared<Flight>();
    flight->bytes = std::exchange(queued, {});
    asked = std::exchange(waiting, {});
    loop::work(
        loop,
        [f = flight, w = writer] {
          f->result = w->append(f->bytes);
          f->warning = w->take_warning();
          const std::lock_guard lock(f->mutex);
          f->over = true;
          f->landed.notify_all();
        },
        [self = shared_from_this()] { self->landed(); });
  }

  void landed() {
    const auto f = std::exchange(flight, nullptr);
    if (!retry || !f) return;  // the journal is gone
    if (!f->warning.empty()) log.warn("journal: " + f->warning);
    if (const int fd = writer->take_opened(); fd >= 0 && opened) opened(fd);
    const bool ok = f->result.has_value();
    if (!ok) {
      queued.insert(0, f->bytes);
      if (durable) log.error("journal: " + f->result.error().message + "; state is not durable, retrying");
      retry->start(kRetry);
    } else if (!durable) {
      log.info("journal: durable again");
    }
    durable = ok;
    // The callbacks may append or drop the journal.
    const auto self = shared_from_this();
    auto answers = std::exchange(asked, {});
    if (!ok) {
      for (Done& d : waiting) answers.push_back(std::move(d));
      waiting.clear();
    }
    for (const Done& d : answers) {
      if (d) d(ok);
    }
    if (ok) write();
  }

  loop::Loop& loop;
  Log& log;
  std::function<void(int)> opened;
  std::shared_ptr<Writer> writer;      // used by one job at a time
  std::unique_ptr<loop::Timer> retry;  // none: the journal is gone
  std::shared_ptr<Flight> flight;
  std::string queued;         // encoded, not yet on its way
  std::vector<Done> asked;    // of the flight
  std::vector<Done> waiting;  // of `queued`
  bool durable = true;
};

Result<Journal::Loaded> Journal::load(const std::string& path, const std::string& boot_id) {
  auto found = scan(path);
  if (!found) return tl::unexpected(found.error());
  Loaded loaded;
  loaded.warning = found->damage;
  loaded.same_boot = !found->fd || encode_file_header(found->boot_id) == encode_file_header(boot_id);
  for (const auto& [id, entry] : found->entries) {
    if (entry.deleted) continue;
    auto record = read_record(*found, id, entry);
    if (!record) return fail(path + ": record of id " + std::to_string(id) + ": " + record.error().message);
    loaded.records.push_back(std::move(*record));
  }
  if (!loaded.records.empty()) loaded.next_id = found->entries.rbegin()->first + 1;
  return loaded;
}

Result<bool> Journal::bring_back(const std::string& path, int fd) {
  if (::access(path.c_str(), F_OK) == 0 || errno != ENOENT) return false;
  if (auto back = journal::bring_back(path, fd); !back) return tl::unexpected(back.error());
  return true;
}

Journal::Journal(loop::Loop& loop, Log& log, std::string path, std::string boot_id,
                 std::function<void(int fd)> opened)
    : impl_(std::make_shared<Impl>(loop, log, std::move(path), std::move(boot_id), std::move(opened))) {}

Journal::~Journal() {
  impl_->retry.reset();
  Status last;
  if (const auto f = impl_->flight) {
    std::unique_lock lock(f->mutex);
    f->landed.wait(lock, [&] { return f->over; });
    last = f->result;
  }
  // Nobody is told, but what is asked for at the very end (stop, delete) is better written than lost.
  if (last && !impl_->queued.empty()) last = impl_->writer->append(impl_->queued);
  if (!last) impl_->log.error("journal: " + last.error().message);
}

void Journal::append(std::vector<Record> records, std::function<void(bool)> done) {
  Impl& i = *impl_;
  for (const Record& r : records) {
    if (!encode_record(r, i.queued))
      i.log.error("journal: record of id " + std::to_string(r.id) + " is too large");
  }
  if (!i.durable) {  // the retry timer runs; nobody waits for a full disk
    if (!done) return;
    i.loop.defer([self = impl_, done = std::move(done)] {
      if (self->retry) done(false);
    });
    return;
  }
  i.waiting.push_back(std::move(done));
  i.write();
}

void Journal::settled(std::function<void(bool)> done) {
  if (!impl_->flight) return done(impl_->durable);
  impl_->waiting.push_back(std::move(done));
}

bool Journal::durable() const { return impl_->durable; }

std::string current_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string line;
  std::getline(file, line);
  return line.empty() ? "unknown" : std::string(trim(line));
}

}  // namespace tend::journal
