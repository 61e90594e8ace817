#include "core/logs/mover.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace tend::logs {
namespace {

constexpr std::size_t kPiece = 1u << 20;
constexpr std::size_t kConsolePiece = 1024;
constexpr std::size_t kBudget = 16u << 20;  // then another stream of the same file has its turn

std::size_t waiting(int pipe) {
  int n = 0;
  return ::ioctl(pipe, FIONREAD, &n) == 0 && n > 0 ? static_cast<std::size_t>(n) : 0;
}

// Whether the pipe is empty for good; `n`: what waits in it.
bool at_end(int pipe, std::size_t& n) {
  pollfd p{pipe, POLLIN, 0};
  if (::poll(&p, 1, 0) <= 0 || (p.revents & (POLLHUP | POLLERR | POLLNVAL)) == 0) return false;
  n = waiting(pipe);  // written between the first look and the hang-up
  return n == 0;
}

class Drain {
 public:
  std::size_t take(int pipe, std::size_t want) {
    if (!null_) null_.reset(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    const ssize_t n = ::splice(pipe, nullptr, null_.get(), nullptr, want, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }

 private:
  UniqueFd null_;
};

// What one file takes part in during one batch.
struct Outlet {
  LogFile* file = nullptr;
  bool usable = false;
};

using Outlets = std::array<Outlet, Stash::kFiles>;

void give_up(Outlet& outlet, std::string& error, std::string message) {
  outlet.usable = false;
  error = std::move(message);
}

Outlets open_files(const Source& source, Millis now, Moved& result) {
  Outlets outlets;
  result.tried = true;
  for (std::size_t i = 0; i < source.files.size() && i < outlets.size(); ++i) {
    outlets[i].file = source.files[i].get();
    const Status opened = outlets[i].file->ready(now);
    outlets[i].usable = opened.has_value();
    if (!opened) result.errors[i] = opened.error().message;
  }
  return outlets;
}

Moved move_raw(Source& source, const Turn& turn) {
  Moved result;
  const int pipe = source.pipe.get();
  std::size_t waits = waiting(pipe);
  if (waits == 0) result.eof = at_end(pipe, waits);
  std::size_t budget = turn.last ? waits : kBudget;
  auto outlets = waits > 0 ? open_files(source, turn.now, result) : Outlets{};
  Drain drain;
  // What waits in a pipe is whole writes of at most PIPE_BUF each, so a piece of exactly that length never
  // cuts a line in two when the next piece in the file is another stream's.
  for (; !turn.stop->load(); waits = waiting(pipe)) {
    if (waits == 0) result.eof = at_end(pipe, waits);
    if (waits == 0 || budget == 0) break;
    const std::size_t want = turn.last ? std::min({waits, kPiece, budget}) : std::min(waits, kPiece);
    std::size_t moved = 0;
    if (outlets[0].usable) {
      const ssize_t n = outlets[0].file->take(pipe, want);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) break;
      if (n < 0) {
        give_up(outlets[0], result.errors[0], fail_errno("write " + outlets[0].file->path()).value().message);
        continue;
      }
      moved = static_cast<std::size_t>(n);
    } else {
      moved = drain.take(pipe, want);
      if (outlets[0].file != nullptr) result.dropped += moved;
    }
    if (moved == 0) break;
    budget -= std::min(budget, moved);
    // Between two pieces, where no line is cut. The last job leaves nothing behind instead.
    if (!turn.last && outlets[0].usable && outlets[0].file->full()) budget = 0;
  }
  result.more = !result.eof && budget == 0;
  return result;
}

// The next `used` bytes of the stash, formatted as `text`, into each file that does not have them yet.
void deliver(Source& source, Outlets& outlets, std::string_view text, std::size_t used, Moved& result) {
  Stash& stash = *source.stash;
  bool lost = false;
  for (std::size_t i = 0; i < source.files.size(); ++i) {
    if (stash.written(i)) continue;
    std::size_t written = 0;
    if (outlets[i].usable) {
      const auto start = outlets[i].file->position();
      if (const Status wrote = outlets[i].file->write(text, written); !wrote) {
        outlets[i].file->rewind(start);
        give_up(outlets[i], result.errors[i], wrote.error().message);
      }
    }
    lost = lost || !outlets[i].usable;
    stash.set_written(i);
  }
  if (lost) result.dropped += used;
  stash.commit();
}

void write_lines(Source& source, Outlets& outlets, bool flush, Moved& result) {
  Stash& stash = *source.stash;
  std::string text;
  while (true) {
    text.clear();
    bool continued = stash.continued();
    const std::size_t used = source.format->format(stash.data(), flush, continued, text);
    if (used == 0) return;
    std::array<Stash::Target, Stash::kFiles> targets;
    for (std::size_t i = 0; i < source.files.size(); ++i) {
      if (!outlets[i].usable) continue;
      targets[i] = {path_hash(outlets[i].file->path()), outlets[i].file->position(),
                    static_cast<int64_t>(text.size())};
    }
    stash.begin(used, continued, targets);
    deliver(source, outlets, text, used, result);
  }
}

// The write that a kill cut short, into the files that do not have it. Its time stamp is today's.
void redo(Source& source, Outlets& outlets, Moved& result) {
  Stash& stash = *source.stash;
  for (std::size_t i = 0; i < source.files.size(); ++i) {
    const LogFile* file = outlets[i].file;
    if (outlets[i].usable && stash.target(i).hash == path_hash(file->path())) settle(stash, i, file->fd());
  }
  const std::size_t used = *stash.pending();
  const std::string_view data = stash.data().substr(0, used);
  bool continued = stash.continued();
  std::string text, batch;
  for (std::size_t done = 0; done < used;) {
    batch.clear();
    done += source.format->format(data.substr(done), true, continued, batch);
    text += batch;
  }
  // A kill may come in the middle of this write too.
  for (std::size_t i = 0; i < source.files.size(); ++i) {
    if (!outlets[i].usable || stash.written(i)) continue;
    const LogFile& file = *outlets[i].file;
    stash.set_target(i, {path_hash(file.path()), file.position(), static_cast<int64_t>(text.size())});
  }
  deliver(source, outlets, text, used, result);
}

Moved move_lines(Source& source, const Turn& turn) {
  Moved result;
  Stash& stash = *source.stash;
  const int pipe = source.pipe.get();
  std::size_t waits = waiting(pipe);
  if (waits == 0) result.eof = at_end(pipe, waits);
  std::size_t budget = turn.last ? waits : kBudget;
  source.format->set_time(turn.wall);
  auto outlets = waits > 0 || !stash.data().empty() ? open_files(source, turn.now, result) : Outlets{};
  if (stash.pending()) redo(source, outlets, result);
  write_lines(source, outlets, false, result);
  bool burst = false;
  for (; !turn.stop->load(); waits = waiting(pipe)) {
    if (waits == 0) result.eof = at_end(pipe, waits);
    if (waits == 0 || budget == 0) break;
    const bool console = std::any_of(outlets.begin(), outlets.end(),
                                     [](const Outlet& o) { return o.usable && !o.file->regular(); });
    // Little at a time for a console, which may stop taking: what it does not take stays in the app's pipe.
    if (console && !std::all_of(outlets.begin(), outlets.end(),
                                [](const Outlet& o) { return !o.usable || o.file->room(); }))
      break;
    const std::size_t most = console ? kConsolePiece : budget;
    const ssize_t n = stash.fill(pipe, std::min({waits, budget, most, stash.room()}));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    burst = burst || n > (64 << 10);
    budget -= static_cast<std::size_t>(n);
    write_lines(source, outlets, false, result);
    for (const Outlet& outlet : outlets)
      if (!turn.last && outlet.usable && outlet.file->full()) budget = 0;
  }
  result.more = !result.eof && budget == 0;
  if (turn.last || result.eof) write_lines(source, outlets, true, result);
  if (burst && !result.more && stash.data().empty()) stash.release_memory();
  return result;
}

}  // namespace

Moved move(Source& source, const Turn& turn) {
  Moved moved = source.stash ? move_lines(source, turn) : move_raw(source, turn);
  for (std::size_t i = 0; i < source.files.size() && i < moved.full.size(); ++i)
    moved.full[i] = source.files[i]->full();
  return moved;
}

bool drained(const Source& source) {
  return (!source.stash || source.stash->data().empty()) && waiting(source.pipe.get()) == 0;
}

bool has_writer(int pipe) {
  pollfd p{pipe, POLLIN, 0};
  return ::poll(&p, 1, 0) >= 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL)) == 0;
}

void settle(Stash& stash, std::size_t i, int fd) {
  const Stash::Target t = stash.target(i);
  if (!stash.pending() || t.hash == 0 || stash.written(i)) return;
  const int64_t position = ::lseek(fd, 0, SEEK_CUR);
  if (position >= t.start + t.length) {
    stash.set_written(i);
  } else if (position > t.start && ::ftruncate(fd, t.start) == 0) {
    ::lseek(fd, t.start, SEEK_SET);
  }
  stash.set_settled(i);
}

}  // namespace tend::logs
