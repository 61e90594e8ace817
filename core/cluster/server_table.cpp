#include "core/cluster/server_table.h"

#include <unistd.h>

#include "core/cluster/sockets_linux.h"

namespace tend::cluster {
namespace {

constexpr std::string_view kBalances[] = {"reuseport", "shared", "rr", "least", "sticky"};
constexpr uint32_t kMaxMembers = 128;
constexpr std::string_view kListenKey = "listen:";

}  // namespace

Result<Balance> balance_of(std::string_view word) {
  if (word == "auto") return Balance::reuseport;
  for (std::size_t i = 0; i < std::size(kBalances); ++i) {
    if (word == kBalances[i]) return static_cast<Balance>(i);
  }
  return fail("balance: found \"" + std::string(word) +
              "\"; accepted: auto|reuseport|shared|rr|least|sticky");
}

std::string listen_key(std::size_t index) { return std::string(kListenKey) + std::to_string(index); }
bool is_listen_key(std::string_view key) { return key.substr(0, kListenKey.size()) == kListenKey; }

std::string member_name(uint32_t server, std::size_t member) {
  return "sock/" + std::to_string(server) + "." + std::to_string(member);
}

void ServerTable::give_back(uint32_t number, const Value& body) {
  next_ = std::max(next_, number + 1);
  auto address = parse_listen(body.at("address").text());
  const auto balance = balance_of(body.at("balance").text());
  if (!address || !balance) {
    log_.warn("journal: server " + std::to_string(number) + " cannot be read");
    return store_.note(number, Value());
  }
  auto server = std::make_unique<Server>();
  server->number = number;
  server->group = body.at("group").text();
  server->key = body.at("key").text();
  server->address = *address;
  server->address.ipv6_only = body.at("ipv6_only").boolean();
  server->address.reuse_addr = body.at("reuse_addr").boolean();
  server->address.mode = static_cast<uint32_t>(body.at("mode").integer());
  server->balance = *balance;
  server->backlog = static_cast<int>(body.at("backlog").integer());
  server->data = body.at("data");
  for (const Value& slot : body.at("listening").list())
    server->listening.insert(static_cast<uint32_t>(slot.integer()));
  if (const Value& share = body.at("share"); !share.is_null()) {
    server->share = Share{static_cast<uint32_t>(share.at("slot").integer()),
                          static_cast<uint32_t>(share.at("percent").integer())};
  }
  server->members.resize(
      static_cast<std::size_t>(std::min<int64_t>(body.at("members").integer(), kMaxMembers)));
  servers_.emplace(number, std::move(server));
}

void ServerTable::give_back(std::string_view name, UniqueFd fd) { given_.emplace(name, std::move(fd)); }

void ServerTable::settle() {
  for (auto it = servers_.begin(); it != servers_.end();) {
    Server& server = *it->second;
    bool whole = !server.members.empty();
    for (std::size_t i = 0; i < server.members.size(); ++i) {
      if (auto fd = given_.extract(member_name(server.number, i))) {
        server.members[i] = std::move(fd.mapped());
      } else {
        whole = false;
      }
    }
    if (whole) {
      ++it;
      continue;
    }
    log_.warn("a socket of " + server.group + " was lost: " + to_text(server.address));
    for (std::size_t i = 0; i < server.members.size(); ++i) store_.drop(member_name(server.number, i));
    store_.note(server.number, Value());
    it = servers_.erase(it);
  }
  for (const auto& [name, fd] : given_) store_.drop(name);  // killed between the bind and the note
  given_.clear();
  for (const auto& [number, server] : servers_) steer(*server);  // whom the predecessor left out is not known
}

Server* ServerTable::find(std::string_view group, std::string_view key) {
  for (const auto& [number, server] : servers_) {
    if (server->group == group && server->key == key) return server.get();
  }
  return nullptr;
}

Server* ServerTable::find(uint32_t number) {
  const auto found = servers_.find(number);
  return found == servers_.end() ? nullptr : found->second.get();
}

std::vector<Server*> ServerTable::all() {
  std::vector<Server*> found;
  for (const auto& [number, server] : servers_) found.push_back(server.get());
  return found;
}

std::vector<Server*> ServerTable::of(std::string_view group) {
  std::vector<Server*> found;
  for (const auto& [number, server] : servers_) {
    if (server->group == group) found.push_back(server.get());
  }
  return found;
}

Result<Server*> ServerTable::open(Server wanted, uint32_t slots) {
  if (wanted.address.transport != Transport::tcp && wanted.per_slot()) wanted.balance = Balance::shared;
  if (wanted.address.transport == Transport::udp) wanted.balance = Balance::shared;
  if (wanted.per_slot()) {
    auto group = open_group(wanted.address, wanted.backlog, std::clamp<uint32_t>(slots, 1, kMaxMembers));
    if (!group) return tl::unexpected(group.error());
    wanted.members = std::move(*group);
  } else {
    auto socket = open_socket(wanted.address, wanted.backlog);
    if (!socket) return tl::unexpected(socket.error());
    wanted.members.push_back(std::move(*socket));
  }
  wanted.number = next_++;
  for (std::size_t i = 0; i < wanted.members.size(); ++i)
    store_.hold(member_name(wanted.number, i), wanted.members[i].get());
  note(wanted);
  const uint32_t number = wanted.number;
  auto& kept = servers_[number] = std::make_unique<Server>(std::move(wanted));
  return kept.get();
}

Result<int> ServerTable::member(Server& server, uint32_t slot) {
  if (!server.per_slot()) return server.members.front().get();
  // More workers than a group can have share its sockets.
  slot %= kMaxMembers;
  const std::size_t before = server.members.size();
  while (server.members.size() <= slot) {
    auto next = join_group(server.members.front().get(), server.backlog);
    if (!next) return tl::unexpected(next.error());
    store_.hold(member_name(server.number, server.members.size()), next->get());
    server.members.push_back(std::move(*next));
  }
  if (server.members.size() != before) {
    note(server);
    steer(server);  // the new ones have no worker yet
  }
  return server.members[slot].get();
}

void ServerTable::set_listening(Server& server, uint32_t slot, bool yes, uint32_t percent) {
  bool changed = yes ? server.listening.insert(slot).second : server.listening.erase(slot) > 0;
  const bool shares = server.share && server.share->member == slot;
  if (shares != (yes && percent > 0)) {
    server.share = shares ? std::nullopt : std::optional(Share{slot, percent});
    changed = true;
  }
  if (!changed) return;
  if (!yes) server.stalled.erase(slot);
  note(server);
  steer(server);
}

void ServerTable::set_stalled(Server& server, uint32_t slot, bool yes) {
  const bool changed = yes ? server.stalled.insert(slot).second : server.stalled.erase(slot) > 0;
  if (changed) steer(server);
}

void ServerTable::await_first(Server& server, const std::set<uint32_t>& slots) {
  if (!server.per_slot()) return;
  std::set<uint32_t> members;
  for (const uint32_t slot : slots) {
    if (member(server, slot)) members.insert(slot % kMaxMembers);
  }
  aim(server, {members.begin(), members.end()}, std::nullopt);
}

void ServerTable::steer(const Server& server) {
  if (!server.per_slot() || server.listening.empty()) return;
  std::set<uint32_t> members;
  for (const uint32_t slot : server.listening) {
    if (slot % kMaxMembers < server.members.size()) members.insert(slot % kMaxMembers);
  }
  const auto ready = [&](uint32_t slot) { return server.stalled.count(slot) == 0; };
  if (std::any_of(members.begin(), members.end(), ready))
    std::erase_if(members, [&](uint32_t slot) { return !ready(slot); });
  std::optional<Share> share;
  if (server.share && members.size() > 1 && members.erase(server.share->member) > 0) share = server.share;
  if (members.empty()) return;
  aim(server, {members.begin(), members.end()}, share);
}

void ServerTable::aim(const Server& server, const std::vector<uint32_t>& list, std::optional<Share> share) {
  const auto spread = server.balance == Balance::sticky ? Spread::by_peer : Spread::random;
  if (auto done = cluster::steer(server.members.front().get(), spread, list,
                                 static_cast<uint32_t>(server.members.size()), share);
      !done)
    log_.warn(server.group + ": " + done.error().message);
}

void ServerTable::close(Server& server) {
  for (std::size_t i = 0; i < server.members.size(); ++i) store_.drop(member_name(server.number, i));
  store_.note(server.number, Value());
  const Address& at = server.address;
  if (at.transport == Transport::unix_stream && !at.path.empty() && at.path.front() == '/')
    ::unlink(at.path.c_str());
  servers_.erase(server.number);
}

void ServerTable::note(const Server& server) {
  List listening;
  for (const uint32_t slot : server.listening) listening.emplace_back(slot);
  store_.note(server.number, Map{{"group", server.group},
                                 {"key", server.key},
                                 {"address", to_text(server.address)},
                                 {"ipv6_only", server.address.ipv6_only},
                                 {"reuse_addr", server.address.reuse_addr},
                                 {"mode", server.address.mode},
                                 {"balance", kBalances[static_cast<std::size_t>(server.balance)]},
                                 {"backlog", server.backlog},
                                 {"data", server.data},
                                 {"share", server.share ? Value(Map{{"slot", server.share->member},
                                                                    {"percent", server.share->percent}})
                                                        : Value()},
                                 {"members", static_cast<int64_t>(server.members.size())},
                                 {"listening", std::move(listening)}});
}

}  // namespace tend::cluster
