#include "core/supervisor/chronicle.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "core/base/tail.h"
#include "core/base/text.h"
#include "core/base/unique_fd.h"
#include "core/config/config.h"
#include "core/journal/history.h"
#include "core/loop/work.h"
#include "core/supervisor/causes.h"
#include "core/supervisor/policy.h"

namespace tend::supervisor {
namespace {

using lifecycle::Cause;
using lifecycle::Phase;

// Of one instance: beyond that the oldest is not worth a crash loop's memory, and would not be kept for long.
constexpr std::size_t kMostWaiting = journal::kMostEnds;
constexpr std::size_t kMostOpen = 4096;
constexpr std::size_t kLines = 25, kLineBytes = 4096;

constexpr std::string_view kVerdicts[] = {"healthy", "late", "unhealthy", "hung", "probe ok", "probe failed"};

off_t size_of(const std::string& path) {
  struct stat st {};
  return stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : 0;
}

// What Node says of its inspector when tend opens it is no word of the app.
bool of_inspector(std::string_view line) {
  for (const std::string_view word : {"Debugger listening on ", "Debugger ending on ", "Debugger attached.",
                                      "For help, see: https://nodejs.org/en/docs/inspector"}) {
    if (line.starts_with(word)) return true;
  }
  return false;
}

std::string what_followed(const Record& r) {
  switch (r.app.state.phase) {
    case Phase::launching:
    case Phase::online:
      return "restarted";
    case Phase::waiting:
      return "will be restarted";
    case Phase::errored:
      return "given up";
    default:
      return "stopped";
  }
}

}  // namespace

Chronicle::Chronicle(loop::Loop& loop, Log& log, const Home& home, EventBus& bus)
    : loop_(loop), log_(log), home_(home) {
  subscription_ = bus.subscribe([this](const Record& r) { look_at(r); });
}

void Chronicle::evidence(uint32_t id, uint32_t spawn, Value autopsy) {
  if (evidence_.size() < kMostOpen) evidence_[{id, spawn}] = std::move(autopsy);
}

void Chronicle::exited(const Instance& app, const lifecycle::State& before, uint32_t spawn) {
  const bool main = spawn == before.spawn;
  if (!main && spawn != before.other.spawn) return;  // told again
  exited_[app.id] = spawn;
  const Side& side = main ? app.main : app.other;
  if (side.pid <= 0) return;
  if (lived_.size() >= kMostOpen) lived_.erase(lived_.begin());
  lived_[{app.id, spawn}] = {side.pid, side.spawned_wall};
}

void Chronicle::forget(uint32_t id) {
  const auto of_it = [id](const auto& entry) { return entry.first.first == id; };
  std::erase_if(ends_, of_it);
  std::erase_if(lived_, of_it);
  std::erase_if(evidence_, of_it);
  exited_.erase(id);
}

// When it began is not known of a replaced process that this supervisor took over.
void Chronicle::describe(End& end, const Lived& lived, int64_t now) {
  end.record.set("pid", lived.pid);
  if (lived.began > 0) end.record.set("uptime", std::max<int64_t>(0, now - lived.began));
}

Chronicle::End& Chronicle::enter(const Key& key, const Record& r) {
  if (ends_.size() >= kMostOpen) ends_.erase(ends_.begin());
  End& end = ends_[key];
  end.record = Map{{"kind", "end"}, {"at", r.wall}};
  if (const auto lived = lived_.find(key); lived != lived_.end()) describe(end, lived->second, r.wall);
  return end;
}

void Chronicle::look_at(const Record& r) {
  const uint32_t id = r.app.id;
  const lifecycle::State& s = r.app.state;
  if (r.event == "delete" || (r.event == "start" && s.last_spawn == 1)) {
    forget(id);
    return push(home_.history(id), {});
  }
  if (std::find(std::begin(kVerdicts), std::end(kVerdicts), r.event) != std::end(kVerdicts)) {
    return push(home_.history(id), {Map{{"kind", "health"},
                                        {"at", r.wall},
                                        {"event", r.event},
                                        {"text", r.detail},
                                        {"pid", r.app.main.pid}},
                                    {},
                                    {}});
  }
  if (r.event == "exit") return process_ended(r);
  if (r.event == "reload") replaced(r);
  if (r.event == "reload failed") successor_failed(r);
  // Nothing was executed, so nothing exited.
  if (s.cause == Cause::spawn_failed && (s.phase == Phase::waiting || s.phase == Phase::errored)) {
    End& end = enter({id, s.spawn}, r);
    end.whole = true;
  }
  const bool settled = s.phase == Phase::launching || s.phase == Phase::waiting ||
                       s.phase == Phase::errored || s.phase == Phase::stopped;
  if (settled && r.event != "reloading") followed(r, what_followed(r));
}

// It goes on living for a while, or, where no tree is waited for, is gone with this event.
void Chronicle::successor_failed(const Record& r) {
  const lifecycle::State& s = r.app.state;
  const bool gone = s.other.role == lifecycle::Other::Role::none;
  const auto last = exited_.find(r.app.id);
  const Key key{r.app.id, gone && last != exited_.end() ? last->second : s.other.spawn};
  End& end = enter(key, r);
  if (r.app.other.pid > 0) describe(end, {r.app.other.pid, r.app.other.spawned_wall}, r.wall);
  end.record.append("cause", cause_word(s.cause));
  end.record.append("text", "successor in a reload: " + cause_text(r.app));
  end.record.append("then", "the old process goes on");
  end.told = true;
  write_if_ready(key);
}

// What comes of it is told by the next event.
void Chronicle::process_ended(const Record& r) {
  const lifecycle::State& s = r.app.state;
  const auto last = exited_.find(r.app.id);
  End& end = enter({r.app.id, last == exited_.end() ? s.spawn : last->second}, r);
  if (s.has_exit && WIFSIGNALED(s.last_status)) {
    end.record.append("signal", signal_name(WTERMSIG(s.last_status)));
    if (WCOREDUMP(s.last_status)) end.record.append("core", true);
  } else if (s.has_exit) {
    end.record.append("code", WEXITSTATUS(s.last_status));
  }
  // Without a tree to wait for, what follows is decided already.
  if (s.phase != Phase::sweeping && s.phase != Phase::stopping) followed(r, what_followed(r));
}

void Chronicle::replaced(const Record& r) {
  const Key key{r.app.id, r.app.state.other.spawn};
  End& end = enter(key, r);
  if (r.app.other.pid > 0) describe(end, {r.app.other.pid, r.app.other.spawned_wall}, r.wall);
  end.record.append("cause", "user");
  end.record.append("text", r.app.cause_text);
  end.record.append("restarts", r.app.state.restarts);
  end.record.append("then", "replaced by process " + std::to_string(r.app.main.pid));
  end.told = true;
  write_if_ready(key);
}

void Chronicle::followed(const Record& r, std::string_view what) {
  for (auto& [key, end] : ends_) {
    if (key.first != r.app.id || end.told) continue;
    end.record.append("cause", cause_word(r.app.state.cause));
    end.record.append("text", cause_text(r.app));
    end.record.append("restarts", r.app.state.restarts);
    end.record.append("then", std::string(what));
    end.told = true;
    return write_if_ready(Key(key));
  }
}

void Chronicle::logs_ended(const Instance& app, uint32_t spawn) {
  const Key key{app.id, spawn};
  const auto found = ends_.find(key);
  if (found == ends_.end()) {
    lived_.erase(key);
    return;
  }
  End& end = found->second;
  end.whole = true;
  if (!app.spec->disable_logs) {
    end.out = part_of(config::instance_log_path(*app.spec, app.spec->out_file, app.id));
    end.err = part_of(config::instance_log_path(*app.spec, app.spec->error_file, app.id));
  }
  write_if_ready(key);
}

void Chronicle::write_if_ready(const Key& key) {
  const auto found = ends_.find(key);
  if (found == ends_.end() || !found->second.told || !found->second.whole) return;
  End end = std::move(found->second);
  ends_.erase(found);
  lived_.erase(key);
  if (const auto seen = evidence_.find(key); seen != evidence_.end()) {
    end.record.append("autopsy", std::move(seen->second));
    evidence_.erase(seen);
  }
  push(home_.history(key.first), {std::move(end.record), std::move(end.out), std::move(end.err)});
}

// What a successor prints comes behind, what a predecessor printed is before.
Chronicle::Part Chronicle::part_of(const std::string& path) {
  Part part{path, 0, size_of(path)};
  off_t& begin = printed_[path];
  if (begin <= part.end) part.begin = begin;
  begin = part.end;
  if (printed_.size() > kMostOpen) printed_.clear();
  return part;
}

void Chronicle::add_tail(List& lines, const Part& part, bool inspected) {
  if (part.end <= part.begin) return;
  const std::size_t most = std::min(kLineBytes, static_cast<std::size_t>(part.end - part.begin));
  const UniqueFd fd(open(part.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  const auto tail = fd ? last_lines(fd.get(), kLines, most, part.end) : Result<Tail>(fail(""));
  if (!tail) return;
  for (std::string& line : split(tail->text, '\n')) {
    if (!line.empty() && !(inspected && of_inspector(line))) lines.emplace_back(std::move(line));
  }
}

// Never lost is that a history is erased: the next instance of that number would read it.
void Chronicle::push(const std::string& path, Job job) {
  std::deque<Job>& mine = jobs_[path];
  if (mine.empty()) turns_.push_back(path);
  if (job.record.empty()) mine.clear();
  if (mine.size() >= kMostWaiting) mine.erase(mine.begin() + (mine.front().record.empty() ? 1 : 0));
  mine.push_back(std::move(job));
  next();
}

// One at a time, an instance after the other.
void Chronicle::next() {
  if (busy_ || turns_.empty()) return;
  busy_ = true;
  const std::string path = std::move(turns_.front());
  turns_.pop_front();
  const auto mine = jobs_.find(path);
  Job first = std::move(mine->second.front());
  mine->second.pop_front();
  mine->second.empty() ? void(jobs_.erase(mine)) : turns_.push_back(path);
  auto outcome = std::make_shared<Status>();
  loop::work(
      loop_,
      [outcome, path, job = std::move(first)]() mutable {
        if (job.record.empty()) return journal::erase_history(path);
        List lines;
        const bool inspected = job.record.find("autopsy") != nullptr;
        add_tail(lines, job.out, inspected);
        add_tail(lines, job.err, inspected);
        if (lines.size() > kLines) lines.erase(lines.begin(), lines.end() - kLines);
        if (!lines.empty()) job.record.append("lines", std::move(lines));
        *outcome = journal::append_history(path, std::move(job.record));
      },
      [this, outcome, weak = std::weak_ptr<bool>(alive_)] {
        if (weak.expired()) return;
        if (!*outcome && !failing_) log_.warn("histories are not kept: " + outcome->error().message);
        failing_ = !*outcome;
        busy_ = false;
        next();
      });
}

}  // namespace tend::supervisor
