// The loop's side: which stream may have a job now. A stream waits at the end of the queue of each of its
// files and starts when it is first in all of them; as it enters them at one instant, no two can wait for
// each other.
#include <algorithm>
#include <csignal>
#include <map>
#include <utility>
#include <vector>

#include "core/logs/flight.h"
#include "core/logs/mover.h"
#include "core/logs/sink.h"
#include "core/logs/tidying.h"
#include "core/loop/poll.h"
#include "core/loop/work.h"

namespace tend::logs {

struct LogWriter::Impl : std::enable_shared_from_this<LogWriter::Impl> {
  struct Stream;
  struct File {
    std::shared_ptr<LogFile> file;
    std::vector<std::shared_ptr<Stream>> queue;  // short, and an empty one takes no memory
    int users = 0;
    bool failing = false;
    RotationRules rules;
    bool due = false;  // to be put aside whatever its size
  };
  struct Stream {
    StreamKey key;
    std::shared_ptr<Source> source;
    std::vector<std::shared_ptr<File>> files;
    std::unique_ptr<loop::Poll> poll;
    bool active = false;   // queued or on the pool
    bool running = false;  // on the pool
    bool finishing = false;
    bool last = false;      // the job under way is the one that finish() asked for
    bool outlived = false;  // its process ended; others may hold the pipe still
    std::vector<std::function<void()>> done;
  };

  Impl(loop::Loop& l, const Clock& c, Log& g, Keepsakes& k)
      : loop(l),
        clock(c),
        log(g),
        keepsakes(k),
        flight(std::make_shared<Flight>()),
        tidying(std::make_shared<Tidying>(l, g, flight)) {}

  loop::Loop& loop;
  const Clock& clock;
  Log& log;
  Keepsakes& keepsakes;
  std::shared_ptr<Flight> flight;
  std::map<StreamKey, std::shared_ptr<Stream>> streams;
  std::map<std::string, std::shared_ptr<File>> files;          // by path
  std::map<std::string, UniqueFd, std::less<>> adopted_files;  // by keepsake
  std::map<std::string, Stash, std::less<>> adopted_notes;
  std::map<uint32_t, uint64_t> dropped;
  std::function<void(uint32_t)> on_loss;
  std::shared_ptr<Tidying> tidying;
  bool settled = false;

  std::shared_ptr<File> file_at(const std::string& path, const StreamOptions& options) {
    auto& file = files[path];
    if (!file) {
      file = std::make_shared<File>();
      file->file = std::make_shared<LogFile>(path, options.uid, options.gid);
      if (auto fd = adopted_files.extract(file_keepsake(path))) file->file->adopt(std::move(fd.mapped()));
    }
    ++file->users;
    set_rules(*file, options.rotation);
    return file;
  }

  static void set_rules(File& file, const RotationRules& rules) {
    file.rules = rules;
    file.file->set_limit(rules.max_size);
  }

  // Before anything is written: the position of a file that several streams share tells only now whether the
  // last write of each of them happened.
  void settle_all() {
    if (std::exchange(settled, true)) return;
    for (auto& [name, stash] : adopted_notes) {
      for (std::size_t i = 0; i < Stash::kFiles; ++i) {
        if (const auto fd = adopted_files.find(file_keepsake(stash.target(i).hash));
            fd != adopted_files.end())
          settle(stash, i, fd->second.get());
      }
    }
  }

  void set_up_lines(Stream& stream, const StreamOptions& options) {
    const std::string name = note_keepsake(stream.key);
    if (auto known = adopted_notes.extract(name)) {
      stream.source->stash.emplace(std::move(known.mapped()));
    } else if (auto fresh = Stash::create()) {
      stream.source->stash.emplace(std::move(*fresh));
      keepsakes.hold(name, stream.source->stash->fd());
    } else {
      log.error("logs without time stamps: " + fresh.error().message);
      return;  // raw is better than nothing
    }
    stream.source->format = std::make_unique<LineFormat>(options, stream.key.channel);
  }

  void add(const StreamKey& key, UniqueFd pipe, const StreamOptions& options) {
    settle_all();
    auto stream = std::make_shared<Stream>();
    stream->key = key;
    stream->source = std::make_shared<Source>();
    stream->source->pipe = std::move(pipe);
    for (const std::string* path : {&options.path, &options.combined}) {
      if (path->empty() || *path == "/dev/null" || (path == &options.combined && *path == options.path))
        continue;
      stream->files.push_back(file_at(*path, options));
      stream->source->files.push_back(stream->files.back()->file);
    }
    if (options.lines() && !stream->files.empty()) set_up_lines(*stream, options);
    const std::weak_ptr<Stream> weak = stream;
    stream->poll = std::make_unique<loop::Poll>(loop, stream->source->pipe.get(), [this, weak](int) {
      const auto s = weak.lock();
      if (!s) return;
      if (!nothing_left(*s)) return enqueue(s);
      // Readable without a byte: the writers are gone. There is nothing to move, so no thread is woken.
      s->poll->stop();
      if (s->outlived) complete_later(s);
    });
    streams.insert_or_assign(key, stream);
    // What a predecessor had stored and not written does not wait for the next byte.
    if (stream->source->stash && !stream->source->stash->data().empty()) {
      enqueue(stream);
    } else {
      stream->poll->watch(UV_READABLE);
    }
  }

  static bool nothing_left(const Stream& stream) { return !stream.active && drained(*stream.source); }

  void enqueue(const std::shared_ptr<Stream>& stream) {
    if (stream->active) return;
    stream->active = true;
    stream->poll->stop();
    for (const auto& file : stream->files) file->queue.push_back(stream);
    start_if_first(stream);
  }

  void start_if_first(const std::shared_ptr<Stream>& stream) {
    if (stream->running) return;
    for (const auto& file : stream->files) {
      if (file->queue.front() != stream) return;
    }
    stream->running = true;
    stream->last = stream->finishing;
    const Turn turn{clock.now(), clock.wall(), stream->last, &flight->stop};
    auto moved = std::make_shared<Moved>();
    flight->start();
    loop::work(
        loop,
        [source = stream->source, turn, moved, f = flight] {
          *moved = move(*source, turn);
          f->land();
        },
        [weak = weak_from_this(), stream, moved] {
          if (const auto self = weak.lock()) self->finished(stream, *moved);
        });
  }

  void finished(const std::shared_ptr<Stream>& stream, const Moved& moved) {
    if (moved.dropped > 0) {
      dropped[stream->key.id] += moved.dropped;
      if (on_loss) on_loss(stream->key.id);
    }
    std::vector<std::shared_ptr<File>> full;
    for (std::size_t i = 0; i < stream->files.size(); ++i) {
      if (moved.tried) report(*stream->files[i], moved.errors[i]);
      if (moved.full[i] || stream->files[i]->due) full.push_back(stream->files[i]);
    }
    full.empty() ? release(stream, moved) : turn(stream, moved, std::move(full));
  }

  // The stream stays first in the queues of its files meanwhile, so that nobody writes. The keeper lets go of
  // the old descriptor first: a successor would take its position for the new file's.
  void turn(const std::shared_ptr<Stream>& stream, const Moved& moved,
            std::vector<std::shared_ptr<File>> full) {
    for (const auto& file : full) {
      file->due = false;
      keepsakes.drop(file_keepsake(file->file->path()));
    }
    auto failures = std::make_shared<std::vector<std::string>>();
    flight->start();
    loop::work(
        loop,
        [full, failures, now = clock.now(), wall = clock.wall(), f = flight] {
          for (const auto& file : full)
            if (const Status turned = file->file->turn(now, wall); !turned)
              failures->push_back(turned.error().message);
          f->land();
        },
        [weak = weak_from_this(), stream, moved, full, failures] {
          const auto self = weak.lock();
          if (!self) return;
          for (const std::string& failure : *failures)
            self->log.warn(failure + "; the log goes on in the same file");
          for (const auto& file : full) {
            // Where it was not put aside the keeper gets it again.
            if (file->file->fd() >= 0)
              self->keepsakes.hold(file_keepsake(file->file->path()), file->file->fd());
            self->tidying->tidy(file->file, file->rules);
          }
          self->release(stream, moved);
        });
  }

  void rotate(const std::shared_ptr<File>& file) {
    file->due = true;
    if (!file->queue.empty() || file->file->fd() < 0) return;  // after the job, or nothing was ever written
    auto nobody = std::make_shared<Stream>();                  // holds the file while it is put aside
    nobody->files.push_back(file);
    nobody->active = nobody->running = true;
    file->queue.push_back(nobody);
    turn(nobody, {}, {file});
  }

  void release(const std::shared_ptr<Stream>& stream, const Moved& moved) {
    for (const auto& file : stream->files) {
      if (file->file->take_news()) keepsakes.hold(file_keepsake(file->file->path()), file->file->fd());
      file->queue.erase(file->queue.begin());
    }
    stream->active = stream->running = false;
    const auto waiting = stream->files;  // complete() may drop the stream's own
    if (stream->last) {
      complete(stream);
    } else if (stream->finishing || moved.more) {
      enqueue(stream);
    } else if (moved.eof && stream->outlived) {
      complete_later(stream);
    } else if (!moved.eof && stream->poll) {
      stream->poll->watch(UV_READABLE);
    }
    for (const auto& file : waiting) {
      if (file->queue.empty()) continue;
      const auto next = file->queue.front();
      start_if_first(next);
    }
  }

  void finish(const StreamKey& key, std::function<void()> done) {
    const auto found = streams.find(key);
    if (found == streams.end()) {
      loop.defer(std::move(done));
      return;
    }
    const auto stream = found->second;
    stream->done.push_back(std::move(done));
    stream->finishing = true;
    if (!nothing_left(*stream)) return enqueue(stream);  // one that has a job is asked again when that ends
    // Without a job for the pool, and still not before this returns: callers count on that.
    stream->poll->stop();
    complete_later(stream);
  }

  void complete_later(const std::shared_ptr<Stream>& stream) {
    stream->active = true;
    loop.defer([weak = weak_from_this(), stream] {
      if (const auto self = weak.lock()) self->complete(stream);
    });
  }

  // Nobody waits for processes that the ended one left behind with its pipe; what they write is not lost
  // either.
  void complete(const std::shared_ptr<Stream>& stream) {
    if (!std::exchange(stream->outlived, true) && stream->source->stash)
      keepsakes.drop(note_keepsake(stream->key));
    if (has_writer(stream->source->pipe.get())) {
      stream->active = stream->finishing = stream->last = false;
      stream->poll->watch(UV_READABLE);
    } else {
      forget(stream);
    }
    for (const auto& done : std::exchange(stream->done, {})) done();
  }

  void forget(const std::shared_ptr<Stream>& stream) {
    if (const auto found = streams.find(stream->key); found != streams.end() && found->second == stream) {
      streams.erase(found);
    }
    stream->poll.reset();
    for (const auto& file : stream->files) {
      if (--file->users > 0) continue;
      keepsakes.drop(file_keepsake(file->file->path()));
      files.erase(file->file->path());
    }
  }

  void prepare(const StreamOptions& options) {
    for (const std::string& path : {options.path, options.combined}) {
      if (path.empty() || path == "/dev/null" || files.contains(path)) continue;
      auto failure = std::make_shared<std::string>();
      const Millis now = clock.now();
      flight->start();
      loop::work(
          loop,
          [path, uid = options.uid, gid = options.gid, failure, now, f = flight] {
            LogFile file(path, uid, gid);
            if (const Status opened = file.ready(now); !opened) *failure = opened.error().message;
            f->land();
          },
          [weak = weak_from_this(), failure] {
            const auto self = weak.lock();
            if (self && !failure->empty()) self->log.warn(*failure);
          });
    }
  }

  void give_back(std::string_view name, UniqueFd fd) {
    if (name.substr(0, 5) == "file/") {
      adopted_files.insert_or_assign(std::string(name), std::move(fd));
    } else if (name.substr(0, 5) == "note/") {
      auto stash = Stash::adopt(std::move(fd));
      if (stash) {
        adopted_notes.erase(std::string(name));
        adopted_notes.emplace(name, std::move(*stash));
      } else {
        log.warn(std::string(name) + ": " + stash.error().message);
      }
    }
  }

  void report(File& file, const std::string& error) {
    if (!error.empty() && !file.failing) log.warn(error + "; output is dropped until it can be written");
    if (error.empty() && file.failing) log.info(file.file->path() + " is written again");
    file.failing = !error.empty();
  }
};

LogWriter::LogWriter(loop::Loop& loop, const Clock& clock, Log& log, Keepsakes& keepsakes)
    : impl_(std::make_shared<Impl>(loop, clock, log, keepsakes)) {
  // A file at RLIMIT_FSIZE is an error like a full disk, not the end of the daemon.
  std::signal(SIGXFSZ, SIG_IGN);
}

LogWriter::~LogWriter() {
  for (const auto& [key, stream] : impl_->streams) stream->poll.reset();
  Flight& flight = *impl_->flight;
  flight.stop = true;
  std::unique_lock lock(flight.mutex);
  flight.landed.wait(lock, [&] { return flight.count == 0; });
  for (const auto& [path, file] : impl_->files) file->queue.clear();  // queues and streams hold each other
}

void LogWriter::give_back(std::string_view name, UniqueFd fd) { impl_->give_back(name, std::move(fd)); }
void LogWriter::add(const StreamKey& key, UniqueFd pipe, const StreamOptions& options) {
  impl_->add(key, std::move(pipe), options);
}
void LogWriter::prepare(const StreamOptions& options) { impl_->prepare(options); }
void LogWriter::finish(const StreamKey& key, std::function<void()> done) {
  impl_->finish(key, std::move(done));
}

uint64_t LogWriter::dropped(uint32_t id) const {
  return impl_->dropped.contains(id) ? impl_->dropped.at(id) : 0;
}
void LogWriter::set_dropped(uint32_t id, uint64_t bytes) { impl_->dropped[id] = bytes; }
void LogWriter::on_loss(std::function<void(uint32_t)> told) { impl_->on_loss = std::move(told); }

void LogWriter::reopen() {
  for (const auto& [path, file] : impl_->files) file->file->ask_reopen();
}

void LogWriter::rotate() {
  for (const auto& [path, file] : impl_->files) impl_->rotate(file);
}

void LogWriter::set_rotation(const StreamOptions& options) {
  for (const std::string* path : {&options.path, &options.combined})
    if (const auto file = impl_->files.find(*path); file != impl_->files.end())
      LogWriter::Impl::set_rules(*file->second, options.rotation);
}

}  // namespace tend::logs
