// Taking the place of a keeper that was lost: its supervisor, which lives, tells what it had. The apps have
// become children of another process: their ends are seen by pidfd, their statuses by nobody (settled 8).
#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "core/keeper/keeper.h"
#include "core/keeper/wire.h"

namespace tend::keeper {

int Keeper::on_adopt(Received& request) {
  const Message& message = request.message;
  if (!inheriting_) return EPERM;
  if (request.fd_count != 1) return EBADF;
  if (message.a <= 1 || message.a > INT_MAX) return EINVAL;
  if (entries_.find(message.id, message.spawn) != nullptr) return EEXIST;
  Entry* entry = entries_.add(message.id, message.spawn);
  if (entry == nullptr) return ENOSPC;
  entry->pid = static_cast<pid_t>(message.a);
  entry->state = Entry::State::live;
  entry->adopted = true;
  entry->pidfd = std::move(request.fds[0]);
  watch(EPOLL_CTL_ADD, entry->pidfd.get(), EPOLLIN, kAdoptedTag);
  return 0;
}

void Keeper::on_handed_over() {
  if (!inheriting_) return;
  inheriting_ = false;
  first_ = false;  // what the next one finds alive is to be gone on with
  drop_link();
  start_supervisor();
}

void Keeper::on_adopted(int pidfd) {
  Entry* entry = entries_.find_adopted(pidfd);
  pollfd p{pidfd, POLLIN, 0};
  if (entry == nullptr || ::poll(&p, 1, 0) != 1) return;
  // Removed by name: the supervisor's copy of the descriptor would keep it in the set.
  watch(EPOLL_CTL_DEL, pidfd, 0, kAdoptedTag);
  ended(*entry, kStatusUnknown);
  if (phase_ >= Phase::terminating) reap();
}

// It died before it had told all: half of a table would let the rest run twice. Without one the next
// supervisor ends what is left of the apps and starts them again.
void Keeper::inheritance_lost() {
  inheriting_ = false;
  entries_.clear();
  held_.clear();
}

bool Keeper::any_adopted() {
  const auto& all = entries_.all();
  return std::any_of(all.begin(), all.end(), [](const Entry& e) { return e.adopted && e.alive(); });
}

}  // namespace tend::keeper
