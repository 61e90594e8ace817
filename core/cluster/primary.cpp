#include "core/cluster/primary.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/cluster/handoff.h"
#include "core/cluster/sockets_linux.h"

namespace tend::cluster {
namespace {

constexpr std::size_t kMaxWaiting = 64;
constexpr int64_t kIpv6Only = 1, kReuseAddr = 4;  // flags of libuv's tcp and udp bind

// A number or a word, as Node would put it into a key.
std::string as_text(const Value& v) {
  if (v.is_null()) return "null";
  return v.is<std::string>() ? v.text() : std::to_string(v.integer());
}

std::string key_of(const Value& f) {
  return as_text(f.at("address")) + ":" + as_text(f.at("port")) + ":" + as_text(f.at("addressType")) + ":" +
         as_text(f.at("fd")) + ":" + as_text(f.at("index"));
}

// protocols.md 2.4: what each form of listen() sends.
Address address_of(const Value& f) {
  Address a;
  const std::string type = as_text(f.at("addressType"));
  const std::string& text = f.at("address").text();
  const int64_t flags = f.at("flags").integer();
  if (type == "-1") {
    a.transport = Transport::unix_stream;
    const auto nul = text.find('\0');  // Node makes an abstract name absolute by mistake
    a.path = nul == std::string::npos ? text : text.substr(nul);
    if (f.at("readableAll").boolean()) a.mode |= 0444;
    if (f.at("writableAll").boolean()) a.mode |= 0222;
    if (a.mode != 0) a.mode |= 0600;
    return a;
  }
  if (type.rfind("udp", 0) == 0) {
    a.transport = Transport::udp;
    a.reuse_addr = (flags & kReuseAddr) != 0;
  }
  a.host = text;
  a.port = static_cast<uint16_t>(f.at("port").integer());
  a.ipv6_only = (flags & kIpv6Only) != 0;
  return a;
}

uint64_t bit_of(uint32_t server) { return uint64_t{1} << (server % 64); }

bool valid_port(const Value& f) {
  const int64_t port = f.at("port").integer();
  return port >= 0 && port <= 65535;
}

}  // namespace

Primary::Primary(loop::Loop& loop, Log& log, Store& store, Owner owner)
    : log_(log),
      owner_(std::move(owner)),
      table_(store, log),
      handoff_(std::make_unique<Handoff>(loop, *this)),
      stalls_(loop, table_, log, [this](const Server& s, uint32_t slot) { tell_stalled(s, slot); }) {}

Primary::~Primary() = default;

void Primary::join(const Worker& worker, Membership membership) {
  members_[worker].membership = std::move(membership);
}

void Primary::adopt(const Worker& worker, Membership membership, bool serving, uint64_t accepting,
                    const List& waiting) {
  Member& member = members_[worker];
  member.membership = std::move(membership);
  member.waiting.assign(waiting.begin(), waiting.end());
  if (member.membership.spare) return;
  for (Server* server : table_.of(member.membership.group)) {
    // One that has just begun shares its predecessor's socket, and said itself on which it accepts.
    const bool listens = server->listening.count(member.membership.slot) != 0;
    if (!listens || (!serving && (accepting & bit_of(server->number)) == 0)) continue;
    stalls_.watch();
    member.servers[server->number] = true;
    if (server->handed_over()) handoff_->watch(*server);
  }
}

void Primary::message(const Worker& worker, const Value& frame) {
  const auto found = members_.find(worker);
  if (found == members_.end()) return;
  Member& member = found->second;
  const std::string& act = frame.at("act").text();
  if (!frame.at("ack").is_null()) {
    handoff_->answered(frame.at("ack").integer(), frame.at("accepted").boolean());
  } else if (act == "online") {
    owner_.progressed(worker);
  } else if (act == "queryServer") {
    query(worker, member, frame);
  } else if (act == "listening") {
    began(worker, member, frame);
  } else if (act == "close") {
    closed(worker, member, frame);
  } else if (act == "exitedAfterDisconnect") {
    // The app takes its leave by itself; without the answer it would wait for ever (protocols.md 2.3).
    retire(worker);
    owner_.send(worker, Map{{"cmd", "NODE_CLUSTER"}, {"ack", frame.at("seq")}, {"seq", seq_++}}, -1);
  }
}

uint64_t Primary::accepting(const Worker& worker) const {
  uint64_t bits = 0;
  const auto found = members_.find(worker);
  if (found == members_.end()) return bits;
  for (const auto& [number, accepts] : found->second.servers) {
    if (accepts) bits |= bit_of(number);
  }
  return bits;
}

List Primary::waiting(const Worker& worker) const {
  const auto found = members_.find(worker);
  if (found == members_.end()) return {};
  return {found->second.waiting.begin(), found->second.waiting.end()};
}

void Primary::serve(const Worker& worker, uint32_t slot) {
  const auto found = members_.find(worker);
  if (found == members_.end()) return;
  Member& member = found->second;
  member.membership.spare = false;
  member.membership.slot = slot;
  for (const Value& frame : std::exchange(member.waiting, {})) query(worker, member, frame);
}

void Primary::query(const Worker& worker, Member& member, const Value& frame) {
  if (member.retired) return;
  if (member.membership.spare && member.waiting.size() < kMaxWaiting) {
    member.waiting.push_back(frame);
    return owner_.asked(worker);
  }
  const std::string key = key_of(frame);
  auto server = server_for(member, frame, key);
  if (!server) {
    log_.warn(member.membership.group + ": " + server.error().message);
    return refuse(worker, frame, key, server.error().code > 0 ? server.error().code : EINVAL);
  }
  member.servers.try_emplace((*server)->number, false);
  answer(worker, frame, **server, member.membership.slot);
}

Result<Server*> Primary::server_for(const Member& member, const Value& frame, const std::string& key) {
  const Membership& m = member.membership;
  if (const int64_t fd = frame.at("fd").integer(-1); fd >= 0) {
    // listen({fd: 3}) in a worker means the primary's third descriptor: here, the first of the option
    // `listen`.
    Server* known =
        fd < kFirstFd ? nullptr : table_.find(m.group, listen_key(static_cast<std::size_t>(fd - kFirstFd)));
    if (known != nullptr) return known;
    return fail_errno("listen({fd: " + std::to_string(fd) + "})", EBADF);
  }
  if (Server* known = table_.find(m.group, key)) {
    if (known->balance == m.balance || is_used(known->number)) return known;
    // The option has changed, and nobody is left whom it was opened for. The copies that are kept elsewhere
    // take no connection any more either.
    for (const UniqueFd& socket : known->members) ::shutdown(socket.get(), SHUT_RDWR);
    close(*known);
  }
  if (as_text(frame.at("addressType")) != "-1" && !valid_port(frame))
    return fail_errno("listen on " + key, EINVAL);
  Server wanted;
  wanted.group = m.group;
  wanted.key = key;
  wanted.address = address_of(frame);
  wanted.balance = m.balance;
  const int64_t backlog = frame.at("backlog").integer();
  wanted.backlog = backlog > 0 && backlog < 65536 ? static_cast<int>(backlog) : kBacklog;
  wanted.data = frame.at("data");
  auto opened = table_.open(std::move(wanted), m.slots);
  if (opened && (*opened)->handed_over()) handoff_->watch(**opened);
  return opened;
}

void Primary::answer(const Worker& worker, const Value& frame, Server& server, uint32_t slot) {
  Map reply{{"cmd", "NODE_CLUSTER"},
            {"ack", frame.at("seq")},
            {"key", server.key},
            {"data", server.data},
            {"seq", seq_++}};
  if (server.handed_over()) {
    reply.append("errno", Value());
    if (server.address.transport == Transport::tcp) {
      if (const auto at = bound_address(server.members.front().get())) {
        reply.append("sockname", Map{{"address", at->host},
                                     {"family", at->host.find(':') == std::string::npos ? "IPv4" : "IPv6"},
                                     {"port", int64_t{at->port}}});
      }
    }
    owner_.send(worker, reply, -1);
    return;
  }
  const auto socket = table_.member(server, slot);
  if (!socket) return refuse(worker, frame, server.key, socket.error().code);
  reply.append("errno", 0);
  const bool udp = server.address.transport == Transport::udp;
  owner_.send(
      worker,
      Map{{"cmd", "NODE_HANDLE"}, {"type", udp ? "dgram.Native" : "net.Native"}, {"msg", std::move(reply)}},
      *socket);
}

void Primary::refuse(const Worker& worker, const Value& frame, const std::string& key, int code) {
  owner_.send(worker,
              Map{{"cmd", "NODE_CLUSTER"},
                  {"ack", frame.at("seq")},
                  {"errno", -code},
                  {"key", key},
                  {"data", frame.at("data")},
                  {"seq", seq_++}},
              -1);
}

// The frame repeats the query with the port that it really is, so a query for port 0 is known by all but the
// port. Any server of the app may be meant: the query itself may have been answered by a predecessor of this
// process.
void Primary::began(const Worker& worker, Member& member, const Value& frame) {
  const Address at = address_of(frame);
  const int64_t fd = frame.at("fd").integer(-1);
  const std::string given =
      fd < kFirstFd ? std::string() : listen_key(static_cast<std::size_t>(fd - kFirstFd));
  for (Server* server : table_.of(member.membership.group)) {
    const bool any_port = server->address.port == 0 && server->address.transport == at.transport &&
                          server->address.host == at.host;
    if (server->key != key_of(frame) && server->key != given && !any_port) continue;
    bool& accepting = member.servers[server->number];
    if (accepting) continue;
    accepting = true;
    if (!member.retired)
      table_.set_listening(*server, member.membership.slot, true, member.membership.percent);
    if (server->handed_over()) handoff_->watch(*server);
    stalls_.watch();
    break;
  }
  owner_.progressed(worker);
}

void Primary::accepts(const Worker& worker, uint32_t number) {
  const auto found = members_.find(worker);
  Server* server = table_.find(number);
  if (found == members_.end() || server == nullptr || found->second.retired) return;
  found->second.servers[number] = true;
  table_.set_listening(*server, found->second.membership.slot, true, found->second.membership.percent);
  stalls_.watch();
}

void Primary::closed(const Worker& worker, Member& member, const Value& frame) {
  const std::string& key = frame.at("key").text();
  Server* server = table_.find(member.membership.group, key);
  if (server == nullptr || member.servers.count(server->number) == 0) return;
  stop_accepting(worker, member, server->number);
  member.servers.erase(server->number);
  for (const auto& [other, m] : members_) {
    if (m.servers.count(server->number) != 0) return;
  }
  if (is_listen_key(key) || member.retired || !owner_.may_close(worker)) return;
  close(*server);
}

bool Primary::is_used(uint32_t server) const {
  return std::any_of(members_.begin(), members_.end(),
                     [server](const auto& m) { return m.second.servers.count(server) != 0; });
}

// Its descriptors close, so nobody may go on with it: who polls one would stand in the way of the next that
// gets the number, and a successor would wait to accept on what is not there.
void Primary::close(Server& server) {
  handoff_->forget(server.number);
  for (auto& [worker, member] : members_) member.servers.erase(server.number);
  table_.close(server);
}

bool Primary::another_accepts(const Worker& worker, const Member& member, uint32_t server) const {
  for (const auto& [other, m] : members_) {
    if (other == worker || m.retired || m.membership.group != member.membership.group ||
        m.membership.slot != member.membership.slot)
      continue;
    if (const auto at = m.servers.find(server); at != m.servers.end() && at->second) return true;
  }
  return false;
}

void Primary::stop_accepting(const Worker& worker, Member& member, uint32_t number) {
  Server* server = table_.find(number);
  if (server != nullptr && !another_accepts(worker, member, number))
    table_.set_listening(*server, member.membership.slot, false);
}

void Primary::disconnect(const Worker& worker) {
  retire(worker);
  owner_.send(worker, Map{{"cmd", "NODE_CLUSTER"}, {"act", "disconnect"}, {"seq", seq_++}}, -1);
}

void Primary::retire(const Worker& worker) {
  const auto found = members_.find(worker);
  if (found == members_.end() || found->second.retired) return;
  found->second.retired = true;
  for (const auto& [number, accepts] : found->second.servers) stop_accepting(worker, found->second, number);
}

void Primary::leave(const Worker& worker) {
  const auto found = members_.find(worker);
  if (found == members_.end()) return;
  for (const auto& [number, accepts] : found->second.servers) stop_accepting(worker, found->second, number);
  members_.erase(found);
  handoff_->lost(worker);
}

void Primary::release(std::string_view group) {
  for (Server* server : table_.of(group)) close(*server);
}

void Primary::tell_stalled(const Server& server, uint32_t slot) {
  for (const auto& [worker, member] : members_) {
    const auto at = member.servers.find(server.number);
    if (member.retired || member.membership.slot != slot || at == member.servers.end() || !at->second)
      continue;
    return owner_.stalled(Worker{worker});
  }
}

bool Primary::covers(const Worker& worker, const Worker& old) const {
  const auto fresh = members_.find(worker);
  const auto known = members_.find(old);
  if (fresh == members_.end()) return false;
  if (known == members_.end()) return true;
  if (fresh->second.membership.spare) return fresh->second.waiting.size() >= known->second.waiting.size();
  for (const auto& [number, accepts] : known->second.servers) {
    if (!accepts) continue;
    const auto at = fresh->second.servers.find(number);
    if (at == fresh->second.servers.end() || !at->second) return false;
  }
  return true;
}

void Primary::connections_closed(const Worker& worker, int64_t count) {
  const auto found = members_.find(worker);
  if (found != members_.end() && count > 0) found->second.open -= std::min(count, found->second.open);
}

}  // namespace tend::cluster
