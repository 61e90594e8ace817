#include "core/cluster/handoff.h"

#include <sys/socket.h>

#include <utility>
#include <vector>

namespace tend::cluster {
namespace {

constexpr int kAcceptsPerTurn = 32;
constexpr std::size_t kMaxPending = 1024;  // not yet taken by workers; beyond, connections wait in the kernel
constexpr uint32_t kMaxTries = 8;
constexpr uint32_t kMaxUnanswered = 16;  // of a worker that is hung, so many connections wait for its end

}  // namespace

void Handoff::watch(const Server& server) {
  auto& poll = polls_[server.number];
  if (!poll) {
    poll = std::make_unique<loop::Poll>(loop_, server.members.front().get(),
                                        [this, number = server.number](int) { accept_some(number); });
  }
  choose(server) != nullptr ? poll->watch(UV_READABLE) : poll->stop();
}

void Handoff::forget(uint32_t server) {
  polls_.erase(server);
  last_.erase(server);
}

void Handoff::accept_some(uint32_t number) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    const Server* server = primary_.table_.find(number);
    if (server == nullptr) return;
    if (pending_.size() >= kMaxPending || choose(*server) == nullptr) {
      if (const auto poll = polls_.find(number); poll != polls_.end()) poll->second->stop();
      return;
    }
    UniqueFd fd(::accept4(server->members.front().get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    pass({std::move(fd), number, {}, 0});
  }
}

// One on trial gets its part, and the others the rest. Round robin: the next after the last one. Least: the
// fewest open connections, the next one among equals.
const Worker* Handoff::choose(const Server& server) {
  const Worker last = last_[server.number];
  const Worker* best = nullptr;
  const Worker* on_trial = nullptr;
  const Worker* hung = nullptr;
  int64_t least = 0;
  bool its_turn = false;
  const auto consider = [&](const Worker& worker, const Primary::Member& member) {
    const auto at = member.servers.find(server.number);
    if (member.retired || at == member.servers.end() || !at->second) return;
    if (member.unanswered >= kMaxUnanswered) {
      hung = &worker;
      return;
    }
    if (const uint32_t percent = member.membership.percent; percent > 0) {
      on_trial = &worker;
      its_turn = (passed_ + 1) * percent / 100 > passed_ * percent / 100;
      return;
    }
    if (best != nullptr && (server.balance == Balance::rr || member.open >= least)) return;
    best = &worker;
    least = member.open;
  };
  const auto middle = primary_.members_.upper_bound(last);
  for (auto it = middle; it != primary_.members_.end(); ++it) consider(it->first, it->second);
  for (auto it = primary_.members_.begin(); it != middle; ++it) consider(it->first, it->second);
  if (on_trial != nullptr && (its_turn || best == nullptr)) return on_trial;
  return best != nullptr ? best : hung;
}

void Handoff::pass(Pending pending) {
  const Server* server = primary_.table_.find(pending.server);
  const Worker* to = server == nullptr ? nullptr : choose(*server);
  if (to == nullptr || ++pending.tries > kMaxTries) return;  // nobody: the client meets a reset, as it would
  pending.worker = *to;
  ++passed_;
  last_[pending.server] = *to;
  const int64_t seq = primary_.seq_++;
  Primary::Member& member = primary_.members_.at(*to);
  ++member.open;
  ++member.unanswered;
  Map message{{"cmd", "NODE_CLUSTER"}, {"act", "newconn"}, {"key", server->key}, {"seq", seq}};
  const Worker worker = *to;
  const int fd = pending.fd.get();
  pending_.emplace(seq, std::move(pending));
  primary_.owner_.send(worker,
                       Map{{"cmd", "NODE_HANDLE"}, {"type", "net.Native"}, {"msg", std::move(message)}}, fd);
}

void Handoff::answered(int64_t seq, bool accepted) {
  auto found = pending_.extract(seq);
  if (!found) return;
  Pending pending = std::move(found.mapped());
  const auto member = primary_.members_.find(pending.worker);
  if (member != primary_.members_.end() && member->second.unanswered > 0) --member->second.unanswered;
  if (!accepted) {
    if (member != primary_.members_.end()) --member->second.open;
    pass(std::move(pending));
  }
  if (pending_.size() + 1 == kMaxPending) {
    for (const auto& [number, poll] : polls_) {
      if (const Server* server = primary_.table_.find(number)) watch(*server);
    }
  }
}

void Handoff::lost(const Worker& worker) {
  std::vector<Pending> again;
  for (auto it = pending_.begin(); it != pending_.end();) {
    if (it->second.worker != worker) {
      ++it;
      continue;
    }
    again.push_back(std::move(it->second));
    it = pending_.erase(it);
  }
  for (Pending& pending : again) pass(std::move(pending));
}

}  // namespace tend::cluster
