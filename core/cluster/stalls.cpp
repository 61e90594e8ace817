#include "core/cluster/stalls.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

namespace tend::cluster {
namespace {

constexpr Millis kPeriod{500};
constexpr Millis kSuspicious{100};  // while there is a pile
constexpr uint32_t kLooks = 3;

// Of a listening socket: how many connections wait to be accepted (tcp_info's unacked, Linux 2.6.12).
uint32_t waiting(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  return ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_unacked : 0;
}

bool has_choice(const Server& server) { return server.per_slot() && server.listening.size() > 1; }

}  // namespace

Stalls::Stalls(loop::Loop& loop, ServerTable& table, Log& log, Stalled stalled)
    : table_(table), log_(log), stalled_(std::move(stalled)), timer_(loop, [this] { look(); }) {}

void Stalls::watch() {
  const auto servers = table_.all();
  const bool any =
      std::any_of(servers.begin(), servers.end(), [](const Server* s) { return has_choice(*s); });
  if (any == looking_) return;
  looking_ = any;
  any ? timer_.start(kPeriod) : timer_.stop();
}

void Stalls::look() {
  bool choice = false, suspicious = false;
  for (Server* server : table_.all()) {
    if (!has_choice(*server)) continue;
    choice = true;
    suspicious = look_at(*server) || suspicious;
  }
  std::erase_if(piles_, [this](const auto& entry) { return table_.find(entry.first.first) == nullptr; });
  looking_ = choice;
  if (choice) timer_.start(suspicious ? kSuspicious : kPeriod);
}

// True: somewhere connections wait.
bool Stalls::look_at(Server& server) {
  bool suspicious = false;
  for (const uint32_t slot : server.listening) {
    if (slot >= server.members.size()) continue;
    Pile& pile = piles_[{server.number, slot}];
    const uint32_t size = waiting(server.members[slot].get());
    const bool grows = size > 0 && size >= pile.size;
    pile.looks = grows ? pile.looks + 1 : 0;
    pile.size = size;
    suspicious = suspicious || size > 0;
    const bool stalled = server.stalled.count(slot) != 0;
    if (stalled != (pile.looks > kLooks)) {
      if (!stalled) {
        log_.warn(server.group + ": worker " + std::to_string(slot) + " does not accept, " +
                  std::to_string(size) + " connections wait; new ones go to the others");
      }
      table_.set_stalled(server, slot, !stalled);
      if (!stalled) stalled_(server, slot);
    }
  }
  return suspicious;
}

}  // namespace tend::cluster
