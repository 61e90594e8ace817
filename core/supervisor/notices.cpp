#include "core/supervisor/notices.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>

#include "core/supervisor/executor.h"
#include "core/tree/proc_stat.h"

namespace tend::supervisor {
namespace {

constexpr Millis kLongestExtension{86400000};
constexpr uint64_t kLongestWatchdog = 31536000000000;  // us: a year
constexpr std::size_t kSendersKept = 16;
constexpr Millis kStrangerKept{200};  // so that one who floods the socket does not cost a walk each time
constexpr int kDeepest = 64;          // ancestors that are looked at
constexpr std::string_view kUnnamed = "stored";

// Slot::notices. kMore: the fields behind STATUS are there; kAccepts: their first is too.
enum : uint8_t { kReloading = 1, kStopping = 2, kReady = 8, kProbed = 16, kMore = 32, kAccepts = 64 };

// What a sender may say that has ended before it was looked at: nobody is believed a pid, a descriptor or a
// sign of life by it.
bool is_harmless(std::string_view key) { return key == "READY" || key == "STATUS"; }

// As many whole characters as fit.
void copy_text(const std::string& from, char* to, std::size_t room) {
  std::size_t n = std::min(from.size(), room - 1);
  while (n < from.size() && n > 0 && (static_cast<unsigned char>(from[n]) & 0xc0u) == 0x80u) --n;
  from.copy(to, n);
  to[n] = '\0';
}

Notified& said_by(Side& side) {
  if (!side.notified) side.notified = std::make_unique<Notified>();
  return *side.notified;
}

}  // namespace

std::string last_words(const Notified& said) {
  std::string text;
  if (said.error >= 0) {
    text = "errno " + std::to_string(said.error) + " (" + std::strerror(static_cast<int>(said.error)) + ")";
  }
  if (said.exit_status >= 0)
    text += (text.empty() ? "" : ", ") + ("exit status " + std::to_string(said.exit_status));
  return text;
}

Notices::Notices(Parts parts, Owner owner) : m_(parts), owner_(std::move(owner)), store_(m_.keeper) {}

Result<UniqueFd> Notices::open(keeper::SpawnRequest& request) {
  auto made = ipc::NotifySocket::open();
  if (!made) return made;
  auto address = ipc::NotifySocket::address(made->get());
  if (!address) return tl::unexpected(address.error());
  request.env.push_back("NOTIFY_SOCKET=" + *address);
  if (auto held = m_.keeper.hold(keep_name("notify", request.id, request.spawn), made->get()); !held)
    return tl::unexpected(held.error());
  return made;
}

void Notices::adopt(Instance& app, uint32_t spawn, UniqueFd socket) {
  Side* side = side_of(app, spawn);
  if (side == nullptr) return;
  const uid_t uid = app.identity.uid >= 0 ? static_cast<uid_t>(app.identity.uid) : geteuid();
  side->notify = std::make_unique<ipc::NotifySocket>(
      m_.loop, std::move(socket), uid,
      [this, id = app.id, spawn](const ipc::NotifyMessage& message, const ipc::NotifySender& sender,
                                 std::span<UniqueFd> fds) { take(id, spawn, message, sender, fds); });
}

void Notices::started(Instance& app, uint32_t spawn, int pid) {
  Side* side = side_of(app, spawn);
  if (side == nullptr) return;
  const bool follows = side->notified && side->notified->start != 0;
  (follows ? side->notified->child : side->pid) = pid;
  if (side->notify) side->notify->listen();
}

bool Notices::lives_on(Instance& app, uint32_t spawn) {
  Side* side = side_of(app, spawn);
  if (side == nullptr || !side->notify) return false;
  side->notify->drain();  // MAINPID is sent before the parent ends
  if (!side->notified || side->notified->start == 0) return false;
  side->notified->child = 0;
  side->notified->child_gone = true;
  side->notify->listen();
  return true;
}

bool Notices::signal(Instance& app, uint32_t spawn, int number) {
  const Side* side = side_of(app, spawn);
  if (side == nullptr || !side->notified || side->notified->start == 0) return false;
  ::syscall(SYS_pidfd_send_signal, side->notified->pidfd.get(), number, nullptr, 0);
  return true;
}

void Notices::ended(Instance& app, Side& side) {
  if (&side == &app.main) app.last_words = side.notified ? last_words(*side.notified) : std::string();
  side.notify.reset();
  if (!side.notified) return;
  side.notified->poll.reset();
  side.notified->pidfd.reset();
}

// Messages --------------------------------------------------------------------------------------------------

void Notices::take(uint32_t id, uint32_t spawn, const ipc::NotifyMessage& message,
                   const ipc::NotifySender& sender, std::span<UniqueFd> fds) {
  Instance* app = owner_.find(id);
  Side* side = app == nullptr ? nullptr : side_of(*app, spawn);
  if (side == nullptr || message.size() == 0) return;
  const Standing standing = this->standing(*app, *side, spawn, sender.pid);
  if (standing == Standing::stranger) {
    if (!std::exchange(side->notified->warned_stranger, true)) {
      m_.log.warn(text_of(*app) + "process " + std::to_string(sender.pid) +
                  ", which is none of its own, speaks for it on its NOTIFY_SOCKET: not heard");
    }
    return;
  }
  for (const ipc::NotifyLine& line : message) {
    if (standing == Standing::ours || is_harmless(line.key)) act(*app, *side, spawn, line);
  }
  if (standing == Standing::ours) keep(*app, *side, message, fds);
}

void Notices::act(Instance& app, Side& side, uint32_t spawn, const ipc::NotifyLine& line) {
  const auto& [key, value] = line;
  Notified& said = *side.notified;
  const bool yes = value == "1";
  if (key == "READY" && yes) {
    if (std::exchange(said.reloading, false)) owner_.changed(app);
    m_.workers.said_ready(app.id, spawn);
  } else if (key == "RELOADING" && yes) {
    if (!std::exchange(said.reloading, true)) owner_.changed(app);
  } else if (key == "STOPPING" && yes) {
    if (!std::exchange(said.stopping, true)) owner_.changed(app);
    m_.workers.retire(app, spawn);
    sinks.stopping(app.id, spawn);
  } else if (key == "STATUS") {
    std::string text = ipc::notify_text(value);
    if (text == said.status) return;
    said.status = std::move(text);
    owner_.changed(app);
  } else if (key == "ERRNO") {
    if (const auto n = ipc::notify_number(value, 4095)) said.error = static_cast<int64_t>(*n);
  } else if (key == "EXIT_STATUS") {
    if (const auto n = ipc::notify_number(value, 255)) said.exit_status = static_cast<int64_t>(*n);
  } else if (key == "MAINPID") {
    if (const auto n = ipc::notify_number(value, INT_MAX)) name_main(app, side, spawn, static_cast<int>(*n));
  } else if (key == "EXTEND_TIMEOUT_USEC") {
    const auto n = ipc::notify_number(value, UINT64_MAX);
    if (!n) return;
    const uint64_t ms = std::min(*n / 1000 + (*n % 1000 > 0 ? 1 : 0), uint64_t(kLongestExtension.n));
    owner_.feed(app.id, lifecycle::Extend{spawn, Millis{static_cast<int64_t>(ms)}});
  } else if (key == "WATCHDOG") {
    if (yes) sinks.watchdog_ping(app.id, spawn);
    if (value == "trigger") sinks.watchdog_trigger(app.id, spawn);
  } else if (key == "WATCHDOG_USEC") {
    if (const auto n = ipc::notify_number(value, kLongestWatchdog)) sinks.watchdog_period(app.id, spawn, *n);
  }
}

void Notices::keep(Instance& app, Side& side, const ipc::NotifyMessage& message, std::span<UniqueFd> fds) {
  const auto name = message.find("FDNAME");
  if (message.says("FDSTOREREMOVE", "1") && name) return store_.remove(app.id, *name);
  if (!message.says("FDSTORE", "1")) return;
  const std::string_view known = name && ipc::is_fd_name(*name) ? *name : kUnnamed;  // as systemd does
  for (UniqueFd& fd : fds) {
    const auto kept = store_.add(app.id, static_cast<std::size_t>(app.spec->fd_store), known,
                                 !message.says("FDPOLL", "0"), std::move(fd));
    if (!kept && !std::exchange(side.notified->warned_store, true))
      m_.log.warn(text_of(app) + "its descriptor " + std::string(known) +
                  " is not kept: " + kept.error().message);
  }
}

// Who speaks ------------------------------------------------------------------------------------------------

Notices::Standing Notices::standing(const Instance& app, Side& side, uint32_t spawn, int pid) {
  Notified& said = said_by(side);
  if (pid > 0 && (pid == side.pid || pid == said.child)) return Standing::ours;
  const auto process = tree::read_stat(pid);
  if (!process) return Standing::gone;
  const Millis now = m_.clock.now();
  auto known = std::find_if(said.senders.begin(), said.senders.end(), [&](const Notified::Sender& s) {
    return s.pid == pid && s.start == process->start;
  });
  if (known == said.senders.end()) {
    if (said.senders.size() == kSendersKept) said.senders.erase(said.senders.begin());
    known = said.senders.insert(said.senders.end(), Notified::Sender{pid, process->start, false, Millis{-1}});
  }
  if (!known->ours && (known->seen.n < 0 || now - known->seen > kStrangerKept)) {
    known->ours = descends(app, side, spawn, pid);
    known->seen = now;
  }
  return known->ours ? Standing::ours : Standing::stranger;
}

// Ancestors first, and the session, which the keeper makes for each process: a look at a few files. Only what
// has left both needs the whole table of processes.
bool Notices::descends(const Instance& app, const Side& side, uint32_t spawn, int pid) {
  const int child = side.notified->child;
  const auto is_root = [&](int p) { return p > 1 && (p == side.pid || p == child); };
  auto process = tree::read_stat(pid);
  for (int depth = 0; process && process->pid > 1 && depth < kDeepest; ++depth) {
    if (is_root(process->pid) || is_root(process->session)) return true;
    process = tree::read_stat(process->ppid);
  }
  const std::vector<int> all = m_.tree.members({app.id, spawn, side.pid});
  return std::find(all.begin(), all.end(), pid) != all.end();
}

// Another main process --------------------------------------------------------------------------------------

void Notices::name_main(Instance& app, Side& side, uint32_t spawn, int pid) {
  if (pid <= 1 || pid == side.pid) return;
  Notified& said = *side.notified;
  const int before = side.pid;
  if (pid == said.child) {  // back to the one that was started
    said.poll.reset();
    said.pidfd.reset();
    said.start = 0;
    said.child = 0;
    side.pid = pid;
  } else {
    const auto process = tree::read_stat(pid);
    const bool ours = process && process->living() && standing(app, side, spawn, pid) == Standing::ours;
    if (!ours || !follow(app, side, spawn, pid, process->start)) {
      m_.log.warn(text_of(app) + "MAINPID=" + std::to_string(pid) + " is no living process of it");
      return;
    }
    if (said.child == 0 && !said.child_gone) said.child = before;
    side.pid = pid;
  }
  owner_.changed(app);
  owner_.moved(app, before);
}

bool Notices::follow(Instance& app, Side& side, uint32_t spawn, int pid, uint64_t start) {
  tree::ProcStat process;
  process.pid = pid;
  process.start = start;
  UniqueFd fd = tree::open_pidfd(process);
  if (!fd) return false;
  Notified& said = said_by(side);
  said.poll.reset();
  said.pidfd = std::move(fd);
  said.start = start;
  said.poll = std::make_unique<loop::Poll>(m_.loop, said.pidfd.get(),
                                           [this, id = app.id, spawn](int) { main_ended(id, spawn); });
  said.poll->watch(UV_READABLE);
  return true;
}

void Notices::main_ended(uint32_t id, uint32_t spawn) {
  Instance* app = owner_.find(id);
  Side* side = app == nullptr ? nullptr : side_of(*app, spawn);
  if (side == nullptr || !side->notified) return;
  if (side->notified->poll) side->notified->poll->stop();
  if (side->notify) side->notify->drain();  // its last words
  Notified& said = *side->notified;
  if (std::exchange(said.start, 0) == 0) return;
  owner_.feed(id, lifecycle::Exited{spawn, lifecycle::kStatusForked});
  // After the event, as with every report.
  if (said.child_gone) m_.loop.defer([this, id, spawn] { m_.keeper.ack(id, spawn); });
}

// A successor of this process -------------------------------------------------------------------------------

void Notices::note(const Instance& app, journal::Slot& slot) {
  if (app.other.notified) slot.other_start = app.other.notified->start;
  slot.notices = static_cast<uint8_t>(kMore | kAccepts | (app.main.ready ? kReady : 0) |
                                      (app.main.probed ? kProbed : 0));
  slot.accepts = app.main.accepts;
  slot.watch_ms = app.main.watch_period.n;
  slot.other_spawned_wall = app.other.spawned_wall;
  if (!app.main.notified) return;
  const Notified& said = *app.main.notified;
  slot.main_start = said.start;
  slot.notices = static_cast<uint8_t>(slot.notices | (said.reloading ? kReloading : 0) |
                                      (said.stopping ? kStopping : 0));
  copy_text(said.status, slot.status_text, sizeof slot.status_text);
}

void Notices::recall(Instance& app, const journal::Slot& slot) {
  if (slot.other_start != 0) said_by(app.other).start = slot.other_start;
  app.main.ready = (slot.notices & kReady) != 0;
  app.main.probed = (slot.notices & kProbed) != 0;
  if ((slot.notices & kAccepts) != 0) app.main.accepts = slot.accepts;
  if ((slot.notices & kMore) != 0) {
    app.main.watch_period = Millis{slot.watch_ms};
    app.other.spawned_wall = slot.other_spawned_wall;
  }
  const bool spoke = (slot.notices & (kReloading | kStopping)) != 0 || slot.status_text[0] != '\0';
  if (slot.main_start == 0 && !spoke) return;
  Notified& said = said_by(app.main);
  said.start = slot.main_start;
  said.reloading = (slot.notices & kReloading) != 0;
  said.stopping = (slot.notices & kStopping) != 0;
  said.status = ipc::notify_text({slot.status_text, strnlen(slot.status_text, sizeof slot.status_text)});
}

void Notices::resume(Instance& app, uint32_t spawn) {
  Side* side = side_of(app, spawn);
  if (side == nullptr || !side->notified) return;
  if (side->notified->stopping) {
    m_.workers.retire(app, spawn);
    sinks.stopping(app.id, spawn);
  }
  if (side->notified->start == 0) return;
  if (!follow(app, *side, spawn, side->pid, side->notified->start)) main_ended(app.id, spawn);
}

std::string Notices::text_of(const Instance& app) const {
  return "App [" + app.spec->name + ":" + std::to_string(app.id) + "] ";
}

}  // namespace tend::supervisor
