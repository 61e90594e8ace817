#include "core/supervisor/workers.h"

#include <fcntl.h>

#include <algorithm>
#include <set>

#include "core/cluster/connections_linux.h"
#include "core/cluster/sockets_linux.h"
#include "core/cluster/steering_linux.h"
#include "core/loop/work.h"
#include "core/supervisor/probes.h"
#include "core/supervisor/spawn_plan.h"

namespace tend::supervisor {
namespace {

// From where connections go elsewhere until one that has no successor stops to accept: nobody else would take
// what is on its way to that socket.
constexpr Millis kSettle{250};
constexpr Millis kEnding{300};  // what a worker without connections may still do before it is signalled
constexpr Millis kLook{250};    // how often connections of a process that cannot be asked are counted

ipc::NodeChannel* channel_of(Instance& app, uint32_t spawn) {
  const Side* side = side_of(app, spawn);
  return side == nullptr ? nullptr : side->channel.get();
}

uint32_t socket_slot(const Instance& app, uint32_t spawn) {
  const uint32_t seat = app.seat.value_or(0);
  if (!passes_sockets(*app.spec)) return seat;
  const bool second = spawn == app.state.spawn ? app.main.second : app.other.second;
  return 2 * seat + (second ? 1 : 0);
}

}  // namespace

bool is_worker(const AppSpec& spec) { return spec.exec_mode == "cluster" && speaks_node_channel(spec); }

bool reloads_without_gap(const AppSpec& spec) { return is_worker(spec) || !spec.listen.empty(); }

std::string group_of(const AppSpec& spec) { return spec.name_space + "/" + spec.name; }

bool same_group(const AppSpec& a, const AppSpec& b) {
  return a.name == b.name && a.name_space == b.name_space;
}

Workers::Workers(loop::Loop& loop, Log& log, keeper::Client& keeper, Owner owner)
    : loop_(loop),
      log_(log),
      keeper_(keeper),
      owner_(std::move(owner)),
      primary_(loop, log, *this,
               {[this](const cluster::Worker& w, const Value& m, int fd) { return send(w, m, fd); },
                [this](const cluster::Worker& w) {
                  Instance* app = owner_.find(w.id);
                  Side* side = app == nullptr ? nullptr : side_of(*app, w.spawn);
                  if (side == nullptr) return;
                  side->reported = true;
                  const uint64_t accepts = primary_.accepting(w);
                  if (std::exchange(side->accepts, accepts) != accepts) owner_.noted(*app);
                  judge_ready(w.id, w.spawn);
                },
                [this](const cluster::Worker& w) {
                  const Instance* app = owner_.find(w.id);
                  return app != nullptr && app->state.spawn == w.spawn &&
                         app->state.phase == lifecycle::Phase::online;
                },
                [this](const cluster::Worker& w) {
                  if (const Instance* app = owner_.find(w.id)) owner_.stalled(*app);
                },
                [this](const cluster::Worker& w) { spare_asked(w); }}) {}

void Workers::hold(std::string_view name, int fd) {
  if (auto kept = keeper_.hold(name, fd); !kept) log_.error(kept.error().message);
}
void Workers::drop(std::string_view name) { keeper_.drop(name); }
void Workers::note(uint32_t server, Value body) { owner_.note(server, std::move(body)); }

bool Workers::send(const cluster::Worker& worker, const Value& message, int fd) {
  Instance* app = owner_.find(worker.id);
  ipc::NodeChannel* channel = app == nullptr ? nullptr : channel_of(*app, worker.spawn);
  return channel != nullptr && channel->send(message, fd);
}

cluster::Membership Workers::membership(const Instance& app, uint32_t spawn) const {
  const auto balance = cluster::balance_of(app.spec->balance);
  const auto group = owner_.group(*app.spec);
  const auto seats =
      std::count_if(group.begin(), group.end(), [](const Instance* a) { return a->seat.has_value(); });
  const auto count = static_cast<uint32_t>(std::max<int64_t>(seats, 1));
  cluster::Membership m;
  m.group = group_of(*app.spec);
  m.slot = socket_slot(app, spawn);
  m.slots = passes_sockets(*app.spec) ? 2 * count : count;
  if (balance) m.balance = *balance;
  m.percent = app.canary;
  m.spare = !app.seat;
  return m;
}

void Workers::adopt(Instance& app, uint32_t spawn) {
  if (!reloads_without_gap(*app.spec)) return;
  const bool serving = spawn != app.state.spawn || app.state.phase == lifecycle::Phase::online;
  const bool asked = static_cast<int64_t>(spawn) == app.waiting.at("spawn").integer(-1);
  const uint64_t accepting = spawn == app.state.spawn ? app.main.accepts : app.other.accepts;
  primary_.adopt({app.id, spawn}, membership(app, spawn), serving, accepting,
                 asked ? app.waiting.at("frames").list() : List());
  if (asked && app.seat) primary_.serve({app.id, spawn}, *app.seat);  // it was about to take over
  if (serving || !app.state.executed || !is_worker(*app.spec)) return;
  app.main.reported = true;  // to the predecessor, or it will soon: Node's first act
  judge_ready(app.id, spawn);
}

Result<std::vector<int>> Workers::sockets(const Instance& app) {
  std::vector<int> found;
  const cluster::Membership member = membership(app, app.state.spawn);
  for (std::size_t i = 0; i < app.spec->listen.size(); ++i) {
    const std::string key = cluster::listen_key(i);
    auto address = parse_listen(app.spec->listen[i]);
    if (!address) return tl::unexpected(address.error());
    cluster::Server* server = primary_.servers().find(member.group, key);
    if (server != nullptr && !(server->address == *address)) {  // the file says otherwise now
      primary_.close(*server);
      server = nullptr;
    }
    if (server == nullptr) {
      cluster::Server wanted;
      wanted.group = member.group;
      wanted.key = key;
      wanted.address = *address;
      // To accept and pass on needs a channel that takes connections.
      const bool handed = member.balance == cluster::Balance::rr || member.balance == cluster::Balance::least;
      wanted.balance = handed && !is_worker(*app.spec) ? cluster::Balance::reuseport : member.balance;
      wanted.backlog = cluster::kBacklog;
      if (auto gone = cluster::remove_stale(*address); !gone && gone.error().code != ENOENT)
        return tl::unexpected(gone.error());
      auto opened = primary_.servers().open(std::move(wanted), member.slots);
      if (!opened) return tl::unexpected(opened.error());
      server = *opened;
      std::set<uint32_t> first;
      for (const Instance* other : owner_.group(*app.spec)) {
        if (other->seat) first.insert(socket_slot(*other, other->state.spawn));
      }
      primary_.servers().await_first(*server, first);
    }
    auto socket = primary_.servers().member(*server, member.slot);
    if (!socket) return tl::unexpected(socket.error());
    // As systemd passes them: who accepts without asking whether there is something is to wait.
    if (!is_worker(*app.spec)) ::fcntl(*socket, F_SETFL, ::fcntl(*socket, F_GETFL) & ~O_NONBLOCK);
    found.push_back(*socket);
  }
  return found;
}

void Workers::joined(const Instance& app, uint32_t spawn) {
  if (reloads_without_gap(*app.spec)) primary_.join({app.id, spawn}, membership(app, spawn));
}

void Workers::message(uint32_t id, uint32_t spawn, const Value& message) {
  Instance* app = owner_.find(id);
  if (app == nullptr) return;
  const std::string& cmd = message.at("cmd").text();
  if (cmd == "NODE_CLUSTER") return primary_.message({id, spawn}, message);
  if (cmd == "NODE_TEND_DRAINED") return owner_.feed(id, lifecycle::Drained{spawn});
  if (cmd == "NODE_TEND_CLOSED")
    return primary_.connections_closed({id, spawn}, message.at("count").integer());
  if (cmd.rfind("NODE_", 0) == 0) return;
  if (message.text() == "ready") said_ready(id, spawn);
  owner_.said(*app, spawn, message);
}

void Workers::said_ready(uint32_t id, uint32_t spawn) { mark(id, spawn, &Side::ready); }
void Workers::probed_ready(uint32_t id, uint32_t spawn) { mark(id, spawn, &Side::probed); }

void Workers::mark(uint32_t id, uint32_t spawn, bool Side::*sign) {
  Instance* app = owner_.find(id);
  Side* side = app == nullptr ? nullptr : side_of(*app, spawn);
  if (side == nullptr) return;
  if (!std::exchange(side->*sign, true)) owner_.noted(*app);
  judge_ready(id, spawn);
}

bool Workers::tell_apart(const Instance& app, uint32_t spawn, health::ProbeRequest& request) {
  const AppSpec& spec = *app.spec;
  request.source.clear();
  const bool commanded = request.target.kind == ProbeTarget::Kind::exec;  // it knows its instance
  if (commanded || !reloads_without_gap(spec)) return true;
  const std::string& host = request.target.host;
  const bool loopback = host == "localhost" || host.starts_with("127.");
  for (const cluster::Server* server : primary_.servers().of(group_of(spec))) {
    if (!loopback || !server->per_slot()) continue;
    request.source = cluster::address_for(socket_slot(app, spawn));
    break;
  }
  const bool alone = app.state.other.role == lifecycle::Other::Role::none && owner_.group(spec).size() == 1;
  return alone || (!request.source.empty() &&
                   !(is_worker(spec) && app.state.other.role != lifecycle::Other::Role::none));
}

// settled 23: the message if wait_ready; a successor also on all that its predecessor listens on.
void Workers::judge_ready(uint32_t id, uint32_t spawn) {
  const Instance* app = owner_.find(id);
  if (app == nullptr || spawn != app->state.spawn || app->state.phase != lifecycle::Phase::launching) return;
  const AppSpec& spec = *app->spec;
  if (is_worker(spec) && !app->main.reported) return;
  // A spare that waits in its listen() has nothing to be ready with.
  const bool loaded = !app->seat && !primary_.waiting({id, spawn}).empty();
  if (spec.wait_ready && !app->main.ready && !loaded) return;
  const bool replaces = app->state.other.role == lifecycle::Other::Role::serving;
  // A worker has its predecessor's socket: a probe would ask both. What it listens on says as much.
  const bool probed = ready_by_probe(spec) && !loaded && !(replaces && is_worker(spec));
  if (probed && !app->main.probed) return;
  if (!spec.wait_ready && !probed && !is_worker(spec)) return;  // Spawned says it
  if (replaces && is_worker(spec) && !primary_.covers({id, spawn}, {id, app->state.other.spawn})) return;
  owner_.feed(id, lifecycle::Ready{spawn});
}

void Workers::became_online(const Instance& app) {
  if (is_worker(*app.spec)) return;  // it says itself what it accepts on
  for (std::size_t i = 0; i < app.spec->listen.size(); ++i) {
    if (const auto* server = primary_.servers().find(group_of(*app.spec), cluster::listen_key(i)))
      primary_.accepts({app.id, app.state.spawn}, server->number);
  }
}

bool Workers::say(Instance& app, uint32_t spawn, const Value& message) {
  ipc::NodeChannel* channel = channel_of(app, spawn);
  return channel != nullptr && channel->send(message);
}

void Workers::drain(Instance& app, uint32_t spawn) {
  const bool has_successor = spawn != app.state.spawn;
  if (has_successor) return ask_to_finish(app, spawn);
  primary_.retire({app.id, spawn});
  after(kSettle, app.id, spawn, [this, id = app.id, spawn] {
    if (Instance* still = owner_.find(id)) ask_to_finish(*still, spawn);
  });
}

void Workers::after(Millis delay, uint32_t id, uint32_t spawn, std::function<void()> action) {
  auto& timer = settling_[{id, spawn}];
  // Deferred: the action may replace the timer that it comes from.
  timer = std::make_unique<loop::Timer>(loop_, [this, action = std::move(action)] { loop_.defer(action); });
  timer->start(delay);
}

void Workers::ask_to_finish(Instance& app, uint32_t spawn) {
  if (!app.seat) return owner_.feed(app.id, lifecycle::Drained{spawn});  // it never served
  ipc::NodeChannel* channel = channel_of(app, spawn);
  const bool worker = is_worker(*app.spec);
  // Before its own close(): a worker that has no server any more when it is asked ends at once.
  worker ? primary_.disconnect({app.id, spawn}) : primary_.retire({app.id, spawn});
  if (app.spec->shutdown_with_message) say(app, spawn, "shutdown");
  if (worker) return;
  if (channel != nullptr && channel->send(Map{{"cmd", "NODE_TEND_DRAIN"}})) return;
  wait_for_clients(app, spawn);
}

// Node closes the channel of a worker that was asked to finish when its servers have no connection left. What
// it does besides, a timer for one, would keep it until the drain is over.
void Workers::channel_ended(uint32_t id, uint32_t spawn) {
  Instance* app = owner_.find(id);
  if (app == nullptr || !is_worker(*app->spec)) return;
  const lifecycle::State& s = app->state;
  const bool finishes = spawn == s.spawn
                            ? s.phase == lifecycle::Phase::stopping && s.draining
                            : spawn == s.other.spawn && s.other.role == lifecycle::Other::Role::leaving &&
                                  s.other.stage == lifecycle::Other::Stage::draining;
  if (!finishes) return;
  after(kEnding, id, spawn, [this, id, spawn] { owner_.feed(id, lifecycle::Drained{spawn}); });
}

// One that cannot be asked: it gets no new connections, and those that it has are left to their clients.
void Workers::wait_for_clients(const Instance& app, uint32_t spawn) {
  std::set<uint16_t> ports;
  for (const cluster::Server* server : primary_.servers().of(group_of(*app.spec))) {
    if (!server->per_slot()) continue;
    if (const auto at = cluster::bound_address(server->members.front().get())) ports.insert(at->port);
  }
  // One socket for all: it goes on accepting until it is told to end.
  if (ports.empty()) return owner_.feed(app.id, lifecycle::Drained{spawn});
  auto& timer = settling_[{app.id, spawn}];
  timer = std::make_unique<loop::Timer>(loop_, [this, id = app.id, spawn, ports] {
    const Instance* still = owner_.find(id);
    if (still == nullptr) return;
    auto open = std::make_shared<std::size_t>(0);
    loop::work(
        loop_,
        [open, pids = owner_.pids(*still, spawn), ports] { *open = cluster::open_connections(pids, ports); },
        [this, open, id, spawn] {
          const auto waiting = settling_.find({id, spawn});
          if (waiting == settling_.end()) return;
          if (*open > 0) return waiting->second->start(kLook);
          owner_.feed(id, lifecycle::Drained{spawn});
        });
  });
  timer->start(kSettle);
}

void Workers::spare_asked(const cluster::Worker& worker) {
  Instance* app = owner_.find(worker.id);
  if (app == nullptr) return;
  if (worker.spawn == app->state.spawn) note_waiting(*app);
  judge_ready(worker.id, worker.spawn);
}

// For a successor of this process: Node does not ask twice.
void Workers::note_waiting(Instance& app) {
  List frames = primary_.waiting({app.id, app.state.spawn});
  app.waiting = frames.empty() ? Value() : Map{{"spawn", app.state.spawn}, {"frames", std::move(frames)}};
  owner_.changed(app);
}

Instance* Workers::replace_by_spare(Instance& dead) {
  if (!dead.seat || dead.canary > 0 || !is_worker(*dead.spec)) return nullptr;
  for (Instance* spare : owner_.group(*dead.spec)) {
    const lifecycle::State& s = spare->state;
    const bool idle = !spare->seat && s.phase == lifecycle::Phase::online && !spare->deleting &&
                      s.other.role == lifecycle::Other::Role::none;
    if (!idle || primary_.waiting({spare->id, s.spawn}).empty()) continue;
    spare->seat = std::exchange(dead.seat, std::nullopt);
    // A successor of this process serves it as well: what it waits with is forgotten last.
    owner_.changed(*spare);
    owner_.changed(dead);
    primary_.serve({spare->id, s.spawn}, *spare->seat);
    note_waiting(*spare);
    return spare;
  }
  return nullptr;
}

void Workers::retire(const Instance& app, uint32_t spawn) { primary_.retire({app.id, spawn}); }

void Workers::ended(const Instance& app, uint32_t spawn) {
  settling_.erase({app.id, spawn});
  primary_.leave({app.id, spawn});
}

}  // namespace tend::supervisor
