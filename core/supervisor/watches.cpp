#include "core/supervisor/watches.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/text.h"
#include "core/model/options.h"
#include "core/supervisor/supervisor.h"

namespace tend::supervisor {
namespace {

using lifecycle::Phase;
using lifecycle::WatchPace;

// Everything of an instance that decides what is watched; equal texts are equal watches.
std::string fingerprint(const AppSpec& spec) {
  std::string text = spec.cwd + '\0' + spec.out_file + '\0' + spec.error_file + '\0' + spec.log_file + '\0' +
                     spec.pid_file + '\0' + show(spec.watch_delay);
  for (const char* key : {"watch", "ignore_watch", "watch_ext", "watch_options"})
    text += '\0' + show(spec, *find_option(key));
  return text;
}

std::vector<std::string> own_files(const AppSpec& spec) {
  std::vector<std::string> files;
  for (const std::string* file : {&spec.out_file, &spec.error_file, &spec.log_file, &spec.pid_file}) {
    if (!file->empty() && *file != "/dev/null") files.push_back(*file);
  }
  return files;
}

Millis interval_of(const AppSpec& spec) {
  const int64_t n = spec.watch_options.at("interval").integer(1000);
  return Millis{std::clamp<int64_t>(n, 100, 3600000)};
}

// The process that comes will read the files as they are then.
bool comes_anew(Phase phase) {
  return phase == Phase::launching || phase == Phase::stopping || phase == Phase::sweeping;
}

std::string limit_text(const watch::Watcher::Ready& r) {
  if (r.polls && r.error == ENOSPC)
    return "files are looked at in turn, as the limit of inotify watches is reached at " +
           printable(r.failed) + "; raise it by: sysctl fs.inotify.max_user_watches=524288";
  if (r.error == EMFILE)
    return "files are looked at in turn, as the limit of inotify instances is reached; raise it by: sysctl "
           "fs.inotify.max_user_instances=1024";
  if (r.polls) return std::string("files are looked at in turn: inotify: ") + std::strerror(r.error);
  return std::to_string(r.folders) + " folders are watched, not " + printable(r.failed) + ": " +
         std::strerror(r.error);
}

}  // namespace

bool is_watched(const AppSpec& spec) { return spec.watch.boolean() || !spec.watch.list().empty(); }

struct Watches::Watched {
  Watched(Supervisor& s, Watches& owner, const std::string& group, Millis delay)
      : pace(delay), timer(s.parts().loop, [&owner, group] { owner.restart(group); }) {}
  std::string fingerprint, name, base;
  std::vector<uint32_t> ids;
  uint32_t watch = 0;
  WatchPace pace;
  loop::Timer timer;
  bool warned = false;
};

Watches::Watches(Supervisor& supervisor) : supervisor_(supervisor), watcher_(supervisor.parts().loop) {}
Watches::~Watches() = default;

std::vector<Instance*> Watches::instances(const Watched& watched) const {
  std::vector<Instance*> found;
  for (const uint32_t id : watched.ids) {
    if (Instance* app = supervisor_.find(id)) found.push_back(app);
  }
  return found;
}

void Watches::settle() {
  if (std::exchange(settling_, true)) return;
  supervisor_.parts().loop.defer([this] {
    settling_ = false;
    follow();
  });
}

void Watches::follow() {
  std::map<std::string, std::vector<uint32_t>> wanted;
  for (const auto& [id, app] : supervisor_.instances()) {
    if (!app->deleting && is_watched(*app->spec)) wanted[group_of(*app->spec)].push_back(id);
  }
  for (auto it = watched_.begin(); it != watched_.end();) {
    const auto still = wanted.find(it->first);
    if (still != wanted.end() &&
        fingerprint(*supervisor_.find(still->second.front())->spec) == it->second->fingerprint) {
      it->second->ids = std::move(still->second);
      wanted.erase(still);
      ++it;
      continue;
    }
    watcher_.remove(it->second->watch);
    supervisor_.parts().log.info("[Watch] Stop watching " + it->second->name);
    it = watched_.erase(it);
  }
  for (const auto& [group, ids] : wanted) begin(group, ids);
}

void Watches::begin(const std::string& group, const std::vector<uint32_t>& ids) {
  const AppSpec& spec = *supervisor_.find(ids.front())->spec;
  Log& log = supervisor_.parts().log;
  const std::string text = "App [" + spec.name + "] ";
  auto scope = std::make_shared<watch::Scope>();
  std::vector<std::string> complaints;
  const List words = spec.watch.boolean() ? List{"."} : spec.watch.list();
  for (const Value& word : words) {
    auto root = watch::root_of(word.text(), spec.cwd);
    if (root)
      scope->roots.push_back(std::move(*root));
    else
      complaints.push_back("watch: " + root.error().message);
  }
  const std::string& home = supervisor_.parts().home.dir;
  const bool inside = std::any_of(scope->roots.begin(), scope->roots.end(),
                                  [&](const watch::Root& r) { return watch::is_below(r.path, home); });
  const bool given = spec.given[index_of(*find_option("ignore_watch"))] && !spec.ignore_watch.empty();
  scope->rules = watch::Rules::make({spec.cwd, given, spec.ignore_watch, spec.watch_ext, own_files(spec),
                                     inside ? supervisor_.parts().home.logs() : home},
                                    complaints);
  scope->follow_links = spec.watch_options.at("followSymlinks").boolean(true);
  scope->poll = spec.watch_options.at("usePolling").boolean();
  for (const std::string& one : complaints) log.warn(text + one);
  auto watched = std::make_unique<Watched>(supervisor_, *this, group, spec.watch_delay);
  watched->fingerprint = fingerprint(spec);
  watched->name = spec.name;
  watched->ids = ids;
  watched->base = spec.cwd;
  log.info("[Watch] Start watching " + spec.name);
  watched->watch = watcher_.add(std::move(scope), interval_of(spec),
                                {[this, group](const std::string& path) { changed(group, path); },
                                 [this, group](const watch::Watcher::Ready& r) { ready(group, r); }});
  watched_[group] = std::move(watched);
}

void Watches::ready(const std::string& group, const watch::Watcher::Ready& r) {
  const auto it = watched_.find(group);
  if (it == watched_.end()) return;
  if (r.error != 0) {
    if (std::exchange(it->second->warned, true)) return;
    return supervisor_.parts().log.warn("App [" + it->second->name + "] " + limit_text(r));
  }
  supervisor_.parts().log.info("[Watch] " + it->second->name + ": " +
                               (r.polls ? std::string("files are looked at in turn")
                                        : std::to_string(r.folders) + " folders are watched"));
}

// Relative to the app's folder where it lies there.
void Watches::changed(const std::string& group, const std::string& path) {
  const auto it = watched_.find(group);
  if (it == watched_.end()) return;
  Watched& w = *it->second;
  const Millis now = supervisor_.parts().clock.now();
  Millis age{INT64_MAX};
  bool serves = false, comes = false;
  for (const Instance* app : instances(w)) {
    comes = comes || comes_anew(app->state.phase);
    serves = serves || app->state.phase == Phase::online;
    if (app->state.phase == Phase::online) age = std::min(age, now - app->state.since);
  }
  if (comes && !serves) age = WatchPace::kRestarting;
  const bool below = watch::is_below(path, w.base) && path.size() > w.base.size() + 1;
  if (!w.pace.changed(below ? path.substr(w.base == "/" ? 1 : w.base.size() + 1) : path, now, age)) return;
  w.timer.start(w.pace.due() - now);
}

void Watches::restart(const std::string& group) {
  const auto it = watched_.find(group);
  if (it == watched_.end() || it->second->pace.due().n < 0) return;
  Watched& w = *it->second;
  Log& log = supervisor_.parts().log;
  const WatchPace::Restart r = w.pace.fire();
  std::vector<Instance*> old;
  for (Instance* app : instances(w)) {
    const bool comes = comes_anew(app->state.phase) && app->state.wanted;
    // Someone has restarted it since: it has read the files as they are.
    const bool young = app->state.phase == Phase::online && app->state.since > r.last;
    if (!comes && !young) old.push_back(app);
  }
  if (old.empty()) return;
  const std::string path = printable(r.path);
  log.info("Change detected on path " + path + " for app " + w.name + " - restarting" +
           (r.more > 0 ? " (and " + std::to_string(r.more) + " more)" : ""));
  if (r.pause.n > 0) {
    log.warn("App [" + w.name + "] was restarted " + std::to_string(WatchPace::kInARow) +
             " times or more in a row for " + path +
             ", each time soon after its start: it may write that by itself. The next restart for it waits " +
             show(r.pause) + "; add the path to ignore_watch");
  }
  const std::string why = "watch " + path + (r.more > 0 ? " and " + std::to_string(r.more) + " more" : "");
  for (Instance* app : old) {
    supervisor_.tell(*app, "change", path);
    if (r.pause.n > 0) supervisor_.tell(*app, "watch loop", path);
    supervisor_.restart(*app, lifecycle::Cause::watch, {why});
  }
}

}  // namespace tend::supervisor
