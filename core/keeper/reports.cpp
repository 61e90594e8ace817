// Telling the supervisor what is owed, as far as its queue takes it.
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "core/keeper/keeper.h"
#include "core/keeper/wire.h"

namespace tend::keeper {
namespace {

constexpr Millis kCrowdedRetry{5};

Message report_of(const Entry& entry, uint8_t what) {
  Message m;
  m.id = entry.id;
  m.spawn = entry.spawn;
  m.a = entry.pid;
  m.flags = entry.repeats;
  if (what == Entry::kPending) {
    m.kind = Kind::spawn_pending;
  } else if (what == Entry::kSpawned) {
    m.kind = Kind::spawned;
  } else if (entry.state == Entry::State::failed) {
    m.kind = Kind::spawn_failed;
    m.a = entry.result;
    m.b = entry.detail;
  } else {
    m.kind = Kind::exited;
    m.b = entry.result;
    m.c = entry.detail;
  }
  return m;
}

}  // namespace

void Keeper::flush() {
  if (!life_.socket || deaf_ || blocked_) return;
  if (refusal_) {
    refusal_->kind = Kind::refused;
    if (!send(*refusal_)) return;
    refusal_.reset();
  }
  if (upgrade_.refusal) {
    if (!send(*upgrade_.refusal)) return;
    upgrade_.refusal.reset();
  }
  if (!greeted_ || !flush_entries() || !flush_table()) return;
  if (reopen_owed_) {
    Message m;
    m.kind = Kind::terminate;
    m.a = SIGUSR2;
    if (send(m)) reopen_owed_ = false;
  }
  if (terminate_owed_) {
    Message m;
    m.kind = Kind::terminate;
    m.a = terminate_signal_;
    if (send(m)) terminate_owed_ = false;
  }
}

bool Keeper::flush_entries() {
  size_t from = 0;
  while (Entry* entry = entries_.next_owed(from)) {
    const auto lowest = static_cast<uint8_t>(entry->owed & -entry->owed);  // spawned before exited
    const int pidfd = entry->pidfd.get();
    const bool given = pidfd >= 0 && lowest != Entry::kFinal;
    if (!send(report_of(*entry, lowest), std::span<const int>(&pidfd, given ? 1 : 0))) return false;
    entry->owed = static_cast<uint8_t>(entry->owed & ~lowest);
  }
  return true;
}

// The rest of the answer to hello: what is held, one descriptor a message, then synced.
bool Keeper::flush_table() {
  if (!syncing_) return true;
  for (; next_slot_ < held_.slots(); ++next_slot_) {
    const FdTable::Held& held = held_.slot(next_slot_);
    if (held.name.empty()) continue;
    Message m;
    m.kind = Kind::held;
    std::memcpy(m.name, held.name.data(), held.name.size());  // came from such a field
    const int fd = held.fd.get();
    if (!send(m, {&fd, 1})) return false;
  }
  Message m;
  m.kind = Kind::synced;
  m.flags = kRepeats;
  m.a = getpid();
  m.b = first_ ? 1 : 0;
  m.c = started_.n;
  m.id = upgrade_.done;
  m.spawn = static_cast<uint32_t>(last_end_);
  std::string_view(TEND_VERSION).copy(m.name, sizeof m.name - 1);
  if (!send(m)) return false;
  first_ = false;
  syncing_ = false;
  return true;
}

bool Keeper::send(Message message, std::span<const int> fds) {
  message.epoch = settings_.epoch;
  message.serial = serial_ + 1;
  message.fd_count = static_cast<uint32_t>(fds.size());
  const int code = send_message(life_.socket.get(), message, fds);
  switch (code) {
    case 0:
      ++serial_;
      return true;
    case EAGAIN:
      blocked_ = true;
      break;
    case ETOOMANYREFS:  // more descriptors under way than this user may have open: the reader has to take
                        // some
    case ENOBUFS:
    case ENOMEM:
      blocked_ = true;
      retry_at_ = now() + kCrowdedRetry;
      break;
    default:
      deaf_ = true;
      return false;
  }
  watch(EPOLL_CTL_MOD, life_.socket.get(), retry_at_ ? 0u : uint32_t{EPOLLOUT}, kLinkTag);
  return false;
}

}  // namespace tend::keeper
