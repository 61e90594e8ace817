// What a supervisor may ask. Everything is checked before it is used; a request is applied whole or refused.
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <new>

#include "core/keeper/keeper.h"
#include "core/keeper/wire.h"

namespace tend::keeper {
namespace {

size_t allowed_fds(Kind kind) {
  if (kind == Kind::spawn) return kMaxFdsPerMessage;
  return kind == Kind::hold || kind == Kind::adopt || kind == Kind::upgrade ? 1 : 0;
}

}  // namespace

// False: the end of the link was read.
bool Keeper::read_requests(int budget) {
  Received request;
  while (budget-- > 0 && !blocked_) {
    const Got got = receive_message(life_.socket.get(), request);
    switch (got) {
      case Got::nothing:
        return true;
      case Got::closed:
        return false;
      case Got::malformed:
        request.message = Message{};  // nothing in it can be trusted, its serial neither
        refusal_ = Message{};
        refusal_->a = EMSGSIZE;
        break;
      case Got::cut:
      case Got::message:
        take(request, got == Got::cut);
        break;
    }
    flush();
  }
  return true;
}

void Keeper::take(Received& request, bool cut) {
  int code = check_message(request, settings_.epoch);
  if (cut && code == EBADF) code = EMFILE;
  if (code == 0 && request.fd_count > allowed_fds(request.message.kind)) code = EINVAL;
  if (code == 0) {
    if (phase_ == Phase::asked && !terminate_owed_) {
      reacted_ = true;  // it lives and was told: from here on it is its business
      terminate_at_.reset();
    }
    try {
      code = apply(request);
    } catch (const std::bad_alloc&) {  // the tables grow before anything is done
      code = ENOMEM;
    }
  }
  if (code == 0) return;
  refusal_ = Message{};
  refusal_->id = request.message.id;
  refusal_->spawn = request.message.spawn;
  refusal_->a = code;
  refusal_->b = static_cast<int64_t>(request.message.serial);
  refusal_->c = static_cast<int64_t>(request.message.kind);
}

int Keeper::apply(Received& request) {
  const Message& message = request.message;
  switch (message.kind) {
    case Kind::hello:
      return on_hello(request);
    case Kind::spawn:
      return on_spawn(request);
    case Kind::ack:
      return on_ack(message);
    case Kind::signal:
      return on_signal(message);
    case Kind::hold:
      return on_hold(request);
    case Kind::drop:
      held_.drop(message.name);
      return 0;
    case Kind::serving:
      served_ = true;
      set_safe(false);
      if (settings_.owned) follow_owner();
      return 0;
    case Kind::shutdown:
      shutdown_ = true;
      return 0;
    case Kind::adopt:
      return on_adopt(request);
    case Kind::handed_over:
      on_handed_over();
      return 0;
    case Kind::forsake:
      return on_forsake(message);
    case Kind::noted:
      return on_noted(message);
    case Kind::upgrade:
      return on_upgrade(request);
    default:
      return ENOSYS;
  }
}

int Keeper::on_hello(const Received& request) {
  if (request.message.a > kVersion) return EPROTONOSUPPORT;
  greeted_ = true;
  drop_repeats();
  syncing_ = true;
  next_slot_ = 0;
  entries_.owe_all();
  terminate_owed_ = phase_ == Phase::asked;
  return 0;
}

int Keeper::on_spawn(Received& request) {
  const Message& message = request.message;
  if (Entry* known = entries_.find(message.id, message.spawn)) {
    entries_.owe_state(*known);
    return 0;
  }
  if ((message.flags & ~(kHasCgroup | kRepeats)) != 0) return EINVAL;
  const size_t own = (message.flags & kHasCgroup) != 0 ? 2 : 1;
  if (request.fd_count < own) return EBADF;
  if (phase_ >= Phase::terminating) return ECANCELED;
  if (const int code = check_blob(request.fds[0].get())) return code;
  auto again = (message.flags & kRepeats) != 0 ? std::make_unique<Again>() : nullptr;
  if (again) {
    std::memcpy(&again->how, message.name, sizeof again->how);
    if (again->how.fd_count != request.fd_count - own || again->how.fd_count > Repeat::kMaxFds ||
        again->how.stop_code_count > Repeat::kMaxStopCodes || message.a < 0) {
      return EINVAL;
    }
    again->delay = Millis{message.a};
    again->same.reserve(again->how.fd_count);
  }
  Entry* entry = entries_.add(message.id, message.spawn);
  if (entry == nullptr) return ENOSPC;

  std::array<int, kMaxFdsPerMessage> fds{};
  for (size_t i = 0; i < request.fd_count; ++i) fds[i] = request.fds[i].get();
  SpawnFds given;
  given.blob = fds[0];
  if (own == 2) given.cgroup = fds[1];
  given.child = std::span<const int>(fds).subspan(own, request.fd_count - own);
  auto spawning = spawn_process(given, settings_.defaults);
  if (!spawning) {
    entry->state = Entry::State::failed;
    entry->result = spawning.error().code;
    entry->detail = spawning.error().step;
    entries_.owe(*entry, Entry::kFinal);
    return 0;
  }
  entry->pid = spawning->pid;
  entry->pidfd = std::move(spawning->pidfd);
  entry->error_pipe = std::move(spawning->error_pipe);
  if (again) {
    again->blob = std::move(request.fds[0]);
    if (own == 2) again->cgroup = std::move(request.fds[1]);
    for (size_t i = 0; i < again->how.fd_count; ++i)
      if (again->how.fds[i] == Repeat::kSame) again->same.push_back(std::move(request.fds[own + i]));
    entry->again = std::move(again);
  }
  watch(EPOLL_CTL_ADD, entry->error_pipe.get(), EPOLLIN, kPipeTag);
  return 0;
}

int Keeper::on_ack(const Message& message) {
  Entry* entry = entries_.find(message.id, message.spawn);
  if (entry == nullptr) return 0;  // acknowledged before, by a former supervisor perhaps
  if (entry->alive()) return EBUSY;
  entries_.erase(entry);
  return 0;
}

int Keeper::on_signal(const Message& message) {
  if (message.a < 1 || message.a >= NSIG) return EINVAL;
  const Entry* entry = entries_.find(message.id, message.spawn);
  if (entry == nullptr || !entry->alive()) return 0;
  const auto number = static_cast<int>(message.a);
  // An adopted one may have been reaped by its parent, and its number be another's.
  const long sent = entry->adopted ? syscall(SYS_pidfd_send_signal, entry->pidfd.get(), number, nullptr, 0)
                                   : kill(entry->pid, number);
  return sent == 0 || errno == ESRCH ? 0 : errno;
}

int Keeper::on_hold(Received& request) {
  if (request.fd_count != 1) return EBADF;
  if (request.message.name[0] == '\0') return EINVAL;
  held_.hold(request.message.name, std::move(request.fds[0]));
  return 0;
}

}  // namespace tend::keeper
