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

constexpr std::size_t kMostJobs = 256;  // beyond that the oldest is not worth a crash loop's memory
constexpr std::size_t kMostOpen = 4096;
constexpr std::size_t kLines = 25, kLineBytes = 4096;

constexpr std::string_view kVerdicts[] = {"healthy", "late", "unhealthy", "hung", "probe ok", "probe failed"};

// How many processes the kernel has killed for want of memory.
uint64_t oom_kills() {
  char text[16384];
  const UniqueFd fd(open("/proc/vmstat", O_RDONLY | O_CLOEXEC));
  const ssize_t n = fd ? read(fd.get(), text, sizeof text - 1) : -1;
  if (n <= 0) return 0;
  constexpr std::string_view kWord = "\noom_kill ";
  const std::string_view all(text, static_cast<std::size_t>(n));
  const auto at = all.find(kWord);
  text[n] = '\0';
  return at == std::string_view::npos ? 0 : std::strtoull(text + at + kWord.size(), nullptr, 10);
}

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
    : loop_(loop), log_(log), home_(home), oom_kills_(oom_kills()) {
  subscription_ = bus.subscribe([this](const Record& r) { look_at(r); });
}

void Chronicle::evidence(uint32_t id, uint32_t spawn, Value autopsy) {
  if (evidence_.size() < kMostOpen) evidence_[{id, spawn}] = std::move(autopsy);
}

Chronicle::End& Chronicle::enter(const Key& key, const Record& r) {
  if (ends_.size() >= kMostOpen) ends_.erase(ends_.begin());
  End& end = ends_[key];
  end.record = Map{{"kind", "end"}, {"at", r.wall}};
  const auto lived = living_.find(key.first);
  if (lived != living_.end()) {
    end.record.append("pid", lived->second.pid);
    end.record.append("uptime", std::max<int64_t>(0, r.wall - lived->second.began));
  }
  return end;
}

void Chronicle::look_at(const Record& r) {
  const uint32_t id = r.app.id;
  const lifecycle::State& s = r.app.state;
  if (r.event == "delete" || (r.event == "start" && s.last_spawn == 1)) {
    living_.erase(id);
    std::erase_if(ends_, [id](const auto& e) { return e.first.first == id; });
    return push({home_.history(id), {}, {}, {}});
  }
  if (std::find(std::begin(kVerdicts), std::end(kVerdicts), r.event) != std::end(kVerdicts)) {
    return push({home_.history(id),
                 Map{{"kind", "health"},
                     {"at", r.wall},
                     {"event", r.event},
                     {"text", r.detail},
                     {"pid", r.app.main.pid}},
                 {},
                 {}});
  }
  if (r.event == "exit") return process_ended(r);
  if (r.event == "reload") replaced(r);
  if (r.event == "reload failed") {
    End& end = enter({id, s.other.spawn}, r);
    end.record.set("pid", r.app.other.pid);
    end.record.set("uptime", std::max<int64_t>(0, r.wall - r.app.other.spawned_wall));
    end.record.append("cause", cause_word(s.cause));
    end.record.append("text", "successor in a reload: " + cause_text(r.app));
    end.record.append("then", "the old process goes on");
    end.told = true;
    write_if_ready({id, s.other.spawn});
  }
  if (r.event == "online" || r.event == "reload") living_[id] = {r.app.main.pid, r.app.main.spawned_wall};
  // Nothing was executed, so nothing exited.
  if (s.cause == Cause::spawn_failed && (s.phase == Phase::waiting || s.phase == Phase::errored)) {
    living_.erase(id);
    End& end = enter({id, s.spawn}, r);
    end.whole = true;
  }
  const bool settled = s.phase == Phase::launching || s.phase == Phase::waiting ||
                       s.phase == Phase::errored || s.phase == Phase::stopped;
  if (settled && r.event != "reloading") followed(r, what_followed(r));
}

// What comes of it is told by the next event; the process' number is the present one, or the one before when
// its successor is there already.
void Chronicle::process_ended(const Record& r) {
  const lifecycle::State& s = r.app.state;
  const uint32_t spawn = s.phase == Phase::launching ? s.spawn - 1 : s.spawn;
  End& end = enter({r.app.id, spawn}, r);
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
  if (found == ends_.end()) return;
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
  if (const auto seen = evidence_.find(key); seen != evidence_.end()) {
    end.record.append("autopsy", std::move(seen->second));
    evidence_.erase(seen);
  }
  push({home_.history(key.first), std::move(end.record), std::move(end.out), std::move(end.err)});
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

void Chronicle::push(Job job) {
  // The first is under way. A crash loop is faster than any disk: its middle is not missed.
  if (jobs_.size() >= kMostJobs) jobs_.erase(jobs_.begin() + 1);
  jobs_.push_back(std::move(job));
  if (jobs_.size() == 1) next();
}

void Chronicle::next() {
  struct Outcome {
    Status status;
    uint64_t oom_kills = 0;
  };
  auto outcome = std::make_shared<Outcome>();
  loop::work(
      loop_,
      [outcome, job = jobs_.front(), before = oom_kills_]() mutable {
        if (job.record.empty()) return journal::erase_history(job.path);
        const Value* signal = job.record.find("signal");
        const Value* cause = job.record.find("cause");
        if (signal != nullptr && signal->text() == "SIGKILL" && cause->text() == "crash") {
          outcome->oom_kills = oom_kills();
          // Nobody here sent it, and the kernel has killed somebody since the last look.
          if (outcome->oom_kills > before)
            job.record.set("text", job.record.find("text")->text() + ", by the kernel for want of memory");
        }
        List lines;
        const bool inspected = job.record.find("autopsy") != nullptr;
        add_tail(lines, job.out, inspected);
        add_tail(lines, job.err, inspected);
        if (lines.size() > kLines) lines.erase(lines.begin(), lines.end() - kLines);
        if (!lines.empty()) job.record.append("lines", std::move(lines));
        outcome->status = journal::append_history(job.path, std::move(job.record));
      },
      [this, outcome, weak = std::weak_ptr<bool>(alive_)] {
        if (weak.expired()) return;
        oom_kills_ = std::max(oom_kills_, outcome->oom_kills);
        if (!outcome->status && !failing_)
          log_.warn("histories are not kept: " + outcome->status.error().message);
        failing_ = !outcome->status;
        jobs_.pop_front();
        if (!jobs_.empty()) next();
      });
}

}  // namespace tend::supervisor
