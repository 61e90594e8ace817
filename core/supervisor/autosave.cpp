#include "core/supervisor/autosave.h"

#include <fcntl.h>
#include <unistd.h>

#include <set>
#include <sstream>
#include <utility>

#include "core/base/file.h"
#include "core/journal/dump.h"
#include "core/journal/journal.h"
#include "core/loop/work.h"
#include "core/supervisor/rpc.h"

namespace tend::supervisor {
namespace {

constexpr Millis kQuiet{500};  // a file of apps is one change
constexpr Millis kAfterError{5000};
constexpr std::size_t kMostNames = 16u << 20;

// There while it is on. Its text: the boot id and, a line each, the names of Autosave::absent_; empty before
// the first write and when a daemon has ended in order.
std::string switch_file(const Home& home) { return home.dir + "/autosave"; }

std::string switch_text(const std::map<std::string, List>& absent) {
  std::string text = journal::current_boot_id() + "\n";
  for (const auto& [name, items] : absent) text += name + "\n";
  return text;
}

Status flip(const std::string& path, bool on) {
  if (!on) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("remove " + path);
    return {};
  }
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno("create " + path);
  return {};
}

}  // namespace

Autosave::Autosave(loop::Loop& loop, Log& log, const Home& home, Supervisor& supervisor)
    : loop_(loop), log_(log), home_(home), supervisor_(supervisor), timer_(loop, [this] { write(); }) {
  on_ = ::access(switch_file(home_).c_str(), F_OK) == 0;  // once, before anything is served
  if (on_) learn();
  subscription_ = supervisor_.bus().subscribe([this](const Record& r) { absent_.erase(r.app.spec->name); });
}

// Once, before the first write: what an earlier daemon left. A supervisor that died is no end of the daemon:
// what it had not come to save is saved now, and what is in the list and not here was deleted in its time.
void Autosave::learn() {
  std::set<std::string> names;
  bool first = true;
  if (const auto left = read_file(switch_file(home_), kMostNames, O_NOFOLLOW)) {
    std::istringstream lines(*left);
    std::string line;
    first = !std::getline(lines, line) || line != journal::current_boot_id();
    while (std::getline(lines, line)) names.insert(line);
  }
  if (const auto saved = journal::load_dump(home_.dump())) {
    for (const Value& one : saved->list())
      if (const std::string& name = one.at("app").at("spec").at("name").text();
          first || names.count(name) != 0)
        absent_[name].push_back(one);
  } else if (first) {
    return;
  }
  changed();
}

void Autosave::set(bool on, std::function<void(Status)> done) {
  auto result = std::make_shared<Status>();
  loop::work(
      loop_, [result, on, path = switch_file(home_)] { *result = flip(path, on); },
      [this, weak = std::weak_ptr<bool>(alive_), result, on, done = std::move(done)] {
        if (weak.expired()) return;
        if (*result) on_ = on;
        if (on_) changed();
        done(*result);
      });
}

void Autosave::changed() {
  if (!on_ || ended_) return;
  due_ = true;
  timer_.start(kQuiet);
}

void Autosave::end(std::function<void()> done) {
  const bool last = due_;
  timer_.stop();
  if (std::exchange(ended_, true) || !on_) return done();
  loop::work(
      loop_,
      [last, home = home_, apps = Value(with_absent(saved_apps(supervisor_).list()))] {
        if (last && !journal::save_dump(home.dump(), apps, home.pm2)) return;
        [[maybe_unused]] auto emptied = replace_file(switch_file(home), "");
      },
      std::move(done));
}

List Autosave::with_absent(List present) const {
  std::set<std::string> names;
  for (const Value& one : present) names.insert(one.at("app").at("spec").at("name").text());
  for (const auto& [name, items] : absent_) {
    if (names.count(name) != 0) continue;  // a supervisor's successor learns the list before the apps
    for (const Value& one : items) present.push_back(one);
  }
  return present;
}

void Autosave::write() {
  if (ended_) return;
  if (writing_) {
    again_ = true;
    return;
  }
  writing_ = true;
  due_ = false;
  auto result = std::make_shared<Status>();
  loop::work(
      loop_,
      [result, home = home_, text = switch_text(absent_),
       apps = Value(with_absent(saved_apps(supervisor_).list()))] {
        *result = journal::save_dump(home.dump(), apps, home.pm2);
        if (*result) *result = replace_file(switch_file(home), text);
      },
      [this, weak = std::weak_ptr<bool>(alive_), result] {
        if (weak.expired()) return;
        writing_ = false;
        if (!*result) log_.error("autosave: " + result->error().message);
        if (!*result && !ended_) {
          due_ = true;
          timer_.start(kAfterError);
        }
        if (std::exchange(again_, false) && !ended_) timer_.start(kQuiet);
      });
}

}  // namespace tend::supervisor
