#include <poll.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <set>
#include <string>

#include "core/base/clock.h"
#include "core/keeper/supervisor_start.h"
#include "core/supervisor/succession.h"
#include "core/tree/marks.h"
#include "core/tree/proc_stat.h"

namespace tend::supervisor {
namespace {

constexpr Millis kHandOver{20'000};
constexpr Millis kUnborn{1'000};

std::string tag_of(const keeper::Mirror::Process& p) {
  return std::to_string(p.id) + "." + std::to_string(p.spawn);
}

// The lost keeper and its children before their exec: they show its command line.
std::vector<tree::Marked> bearers_of_its_title(const Home& home) {
  const std::string title = std::string("tend: keeper") + '\0' + home.dir + '\0';
  return tree::processes_titled(title);
}

// Spawns that the lost keeper never answered may have happened. A child that has not executed yet is waited
// for, and ended when that takes too long: it would come up beside its successor.
void find_unborn(const Home& home, keeper::Mirror& mirror, Log& log) {
  std::set<std::string> unknown;
  for (const auto& p : mirror.processes()) {
    if (!p.pidfd) unknown.insert(tag_of(p));
  }
  if (unknown.empty()) return;
  const SystemClock clock;
  const Millis end = clock.now() + kUnborn;
  for (auto left = bearers_of_its_title(home); !left.empty(); left = bearers_of_its_title(home)) {
    if (clock.now() >= end + kUnborn) {  // not even killed: the kernel holds it
      log.error("process " + std::to_string(left.front().pid) + " of the lost keeper cannot be ended");
      break;
    }
    if (clock.now() >= end) {
      for (const tree::Marked& child : left)
        ::syscall(SYS_pidfd_send_signal, child.pidfd.get(), SIGKILL, nullptr, 0);
    }
    ::poll(nullptr, 0, 1);
  }
  // The main process of a spawn is the oldest that bears its mark.
  auto found = tree::marked_processes(tree::home_mark(home.dir, home.pm2));
  std::sort(found.begin(), found.end(), [](const tree::Marked& a, const tree::Marked& b) {
    return a.start < b.start || (a.start == b.start && a.pid < b.pid);
  });
  for (tree::Marked& one : found) {
    if (unknown.erase(one.tag) == 0) continue;
    const auto dot = one.tag.find('.');
    log.warn("process " + std::to_string(one.pid) + " was started by the keeper that is lost");
    mirror.lives(static_cast<uint32_t>(std::strtoul(one.tag.c_str(), nullptr, 10)),
                 static_cast<uint32_t>(std::strtoul(one.tag.c_str() + dot + 1, nullptr, 10)), one.pid,
                 std::move(one.pidfd));
  }
}

}  // namespace

Status install_successor(const Home& home, Console console, int listener, keeper::Mirror& mirror, Log& log) {
  find_unborn(home, mirror, log);
  uint64_t epoch = 0;
  if (getrandom(&epoch, sizeof epoch, 0) != static_cast<ssize_t>(sizeof epoch) || epoch == 0)
    return fail("no random numbers");
  auto link = keeper::start_successor(home, epoch, listener, console);
  if (!link) return tl::unexpected<Error>(link.error());
  return mirror.hand_over(link->get(), epoch, kHandOver);
}

}  // namespace tend::supervisor
