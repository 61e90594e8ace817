#include "core/supervisor/executor.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>

#include "core/base/failpoint.h"
#include "core/base/match.h"
#include "core/config/config.h"
#include "core/loop/work.h"
#include "core/supervisor/causes.h"
#include "core/supervisor/limits.h"

namespace tend::supervisor {
namespace {

constexpr int kBigPipe = 1 << 20;
constexpr std::size_t kBigPipes = 32;  // an unprivileged user has 64 MiB of pipes in all (settled 34)

struct Pipe {
  UniqueFd read, write;
};

// Ours and the child's end of a stream socket.
struct Ends {
  UniqueFd ours, child;
};

Result<Ends> make_ends() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("socketpair");
  return Ends{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<Pipe> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// What the keeper may do while no supervisor lasts: as the policy is now. None: nothing.
std::optional<keeper::Repeat> repeat_of(const Instance& app, const keeper::SpawnRequest& request,
                                        std::size_t sockets, bool channel, bool heartbeat) {
  using keeper::Repeat;
  const auto& final_codes = app.policy.stop_codes;
  if (!app.policy.autorestart || request.child_fds.size() > Repeat::kMaxFds ||
      final_codes.count() > Repeat::kMaxStopCodes)
    return std::nullopt;
  std::string ends = app.spec->disable_logs ? "iss" : "ioe";
  ends.append(sockets, Repeat::kSame);
  if (channel) ends += Repeat::kChannel;
  if (heartbeat) ends += Repeat::kHeartbeat;
  Repeat out;
  out.fd_count = static_cast<uint8_t>(ends.copy(out.fds, sizeof out.fds));
  out.whole_tree = app.policy.treekill ? 1 : 0;
  for (std::size_t code = 0; code < final_codes.size(); ++code) {
    if (final_codes.test(code)) out.stop_codes[out.stop_code_count++] = static_cast<int16_t>(code);
  }
  return out;
}

std::string app_text(const Instance& app) {
  return "App [" + app.spec->name + ":" + std::to_string(app.id) + "]";
}

}  // namespace

std::string keep_name(std::string_view kind, uint32_t id, uint32_t spawn) {
  return std::string(kind) + "/" + std::to_string(id) + "." + std::to_string(spawn);
}

Executor::Executor(Mechanisms mechanisms, Workers& workers, Heartbeats& heartbeats, Notices& notices,
                   Feed feed, Find find, LogsEnded logs_ended, Noted noted)
    : m_(mechanisms),
      workers_(workers),
      heartbeats_(heartbeats),
      notices_(notices),
      feed_(std::move(feed)),
      find_(std::move(find)),
      logs_ended_(std::move(logs_ended)),
      noted_(std::move(noted)) {}

void Executor::run(Instance& app, const lifecycle::Action& action) {
  const uint32_t id = app.id;
  std::visit(Match{[](std::monostate) {}, [&](const lifecycle::Spawn& a) { spawn(app, a.spawn); },
                   [&](const lifecycle::SignalTree& a) { signal(app, a.spawn, a.number); },
                   [&](const lifecycle::Drain& a) { workers_.drain(app, a.spawn); },
                   [&](const lifecycle::SweepTree& a) {
                     m_.tree.await_empty(member(app, a.spawn), true,
                                         [this, id, n = a.spawn] { feed_(id, lifecycle::TreeGone{n}); });
                   },
                   [&](const lifecycle::AwaitTree& a) {
                     m_.tree.await_empty(member(app, a.spawn), false,
                                         [this, id, n = a.spawn] { feed_(id, lifecycle::TreeGone{n}); });
                   },
                   [&](const lifecycle::Arm& a) {
                     auto& timer = app.timers[static_cast<std::size_t>(a.timer)];
                     // A timer carries the number that it was armed for, so a late one is known as such.
                     timer = std::make_unique<loop::Timer>(m_.loop, [this, id, a] {
                       feed_(id, lifecycle::Fired{a.spawn, a.timer});
                     });
                     timer->start(a.at - m_.clock.now());
                   },
                   [&](const lifecycle::Cancel& a) {
                     if (auto& timer = app.timers[static_cast<std::size_t>(a.timer)]) timer->stop();
                   },
                   [&](const lifecycle::Stuck& a) {
                     m_.log.error(app_text(app) + " pid=" + std::to_string(member(app, a.spawn).main_pid) +
                                  " could not be stopped");
                   }},
             action);
}

tree::Member Executor::member(Instance& app, uint32_t spawn) const {
  const Side* side = side_of(app, spawn);
  return {app.id, spawn, side == nullptr ? 0 : side->pid};
}

void Executor::signal(Instance& app, uint32_t spawn, int number) {
  failpoint("signal.before");
  workers_.retire(app, spawn);
  if (number == app.policy.stop_signal && app.spec->shutdown_with_message &&
      workers_.say(app, spawn, "shutdown"))
    return;
  const tree::Member to = member(app, spawn);
  if (app.policy.treekill && to.main_pid > 0) {
    // A tree that goes on forking outruns signals that are sent one by one.
    number == SIGKILL ? m_.tree.kill(to) : static_cast<void>(m_.tree.signal(to, number));
  } else if (!notices_.signal(app, spawn, number)) {
    m_.keeper.signal(app.id, spawn, number);  // also while the pid is not known yet
  }
  failpoint("signal.after");
}

void Executor::spawn(Instance& app, uint32_t number) {
  failpoint("spawn.before");
  app.main.pid = 0;
  app.main.channel.reset();
  app.error.clear();
  app.main.worker = is_worker(*app.spec) ? next_worker() : 0;
  PlanInput input = plan_input(m_.home, app);
  input.spawn = number;
  input.stored = notices_.store().of(app.id);
  if (!plan_reads_files(*app.spec)) return planned(input, plan(input));
  auto result = std::make_shared<Result<keeper::SpawnRequest>>(fail("not planned"));
  const auto in = std::make_shared<const PlanInput>(std::move(input));
  loop::work(
      m_.loop, [result, in] { *result = plan(*in); },
      [this, result, in] { planned(*in, std::move(*result)); });
}

void Executor::planned(const PlanInput& in, Result<keeper::SpawnRequest> request) {
  const uint32_t id = in.id;
  const uint32_t number = in.spawn;
  Instance* app = find_(id);
  if (app == nullptr || app->state.spawn != number) return;
  if (app->state.phase !=
      lifecycle::Phase::launching) {  // stopped meanwhile: there is no process to wait for
    feed_(id, lifecycle::SpawnFailed{number});
    return;
  }
  failpoint("spawn.planned");
  Status sent = request ? hand_over(*app, in, *request) : Status(tl::unexpected(request.error()));
  if (sent) return;
  app->error = sent.error().message;
  feed_(id, lifecycle::SpawnFailed{number, for_want(sent.error().code)});
}

Status Executor::hand_over(Instance& app, const PlanInput& in, keeper::SpawnRequest& request) {
  const uint32_t number = request.spawn;
  std::vector<int> sockets;
  if (!app.spec->listen.empty()) {
    auto bound = workers_.sockets(app);
    if (!bound) return tl::unexpected(bound.error());
    if (passes_sockets(*app.spec)) sockets = std::move(*bound);
  }
  for (const StoredFd& s : in.stored) sockets.push_back(s.fd->get());
  auto input = make_pipe();
  auto out = make_pipe();
  auto err = make_pipe();
  if (!input || !out || !err) return fail("too many open descriptors: raise the limit (ulimit -n)", EMFILE);
  Ends channel, heartbeat;
  if (has_node_channel(*app.spec)) {
    auto made = make_ends();
    if (!made) return tl::unexpected(made.error());
    channel = std::move(*made);
    // What the app sends in a burst before process.exit() must fit the kernel (protocols.md 1.5).
    const int room = 1 << 20;
    setsockopt(channel.child.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    // And a line to it is written whole or not begun (ipc/node_channel.h).
    setsockopt(channel.ours.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  }
  if (has_heartbeat_channel(*app.spec)) {
    auto made = make_ends();
    if (!made) return tl::unexpected(made.error());
    heartbeat = std::move(*made);
  }
  UniqueFd notify;
  if (may_notify(*app.spec, m_.home.pm2)) {
    auto made = notices_.open(request);
    if (!made) return tl::unexpected(made.error());
    notify = std::move(*made);
  }
  if (big_pipes_.size() < kBigPipes) {
    for (const int fd : {out->read.get(), err->read.get()}) fcntl(fd, F_SETPIPE_SZ, kBigPipe);
  }
  if (app.identity.uid >= 0) {  // so that the app may open /dev/stdout anew (settled 34)
    const auto uid = static_cast<uid_t>(app.identity.uid);
    const auto gid = static_cast<gid_t>(app.identity.gid);
    for (const int fd : {input->read.get(), out->write.get(), err->write.get()}) {
      if (fchown(fd, uid, gid) != 0) m_.log.warn(app_text(app) + " its pipes stay the daemon's");
    }
  }
  UniqueFd null;
  if (app.spec->disable_logs) {
    null.reset(open("/dev/null", O_RDWR | O_CLOEXEC));
    request.child_fds = {input->read.get(), null.get(), null.get()};
  } else {
    request.child_fds = {input->read.get(), out->write.get(), err->write.get()};
    m_.keeper.hold(keep_name("out", app.id, number), out->read.get());
    m_.keeper.hold(keep_name("err", app.id, number), err->read.get());
  }
  m_.keeper.hold(keep_name("in", app.id, number), input->write.get());
  request.child_fds.insert(request.child_fds.end(), sockets.begin(), sockets.end());
  if (channel.ours) {
    request.child_fds.push_back(channel.child.get());
    m_.keeper.hold(keep_name("ipc", app.id, number), channel.ours.get());
  }
  if (heartbeat.ours) {
    request.child_fds.push_back(heartbeat.child.get());
    m_.keeper.hold(keep_name("hb", app.id, number), heartbeat.ours.get());
  }
  request.repeat = repeat_of(app, request, sockets.size(), static_cast<bool>(channel.ours),
                             static_cast<bool>(heartbeat.ours));
  request.repeat_delay = std::max(app.policy.restart_delay, app.policy.exp_backoff);
  const tree::GroupLimits limits = group_limits(*app.spec);
  const UniqueFd group = m_.tree.make_group(app.id, number, limits);
  request.cgroup_fd = group.get();
  if (const tree::GroupLimits missing = m_.tree.missing(app.id, number, limits); missing.any()) {
    use_rlimits(app, missing, request.extras);
    if (number <= 1) m_.log.warn(app_text(app) + " " + without_group_text(app, missing));
  }
  failpoint("spawn.held");
  if (auto sent = m_.keeper.spawn(request); !sent) {
    process_ended(app, number);
    return sent;
  }
  failpoint("spawn.requested");
  if (!app.spec->disable_logs) {
    adopt_log(app, number, logs::Channel::out, std::move(out->read));
    adopt_log(app, number, logs::Channel::err, std::move(err->read));
  }
  adopt_input(app, number, std::move(input->write));
  workers_.joined(app, number);
  if (channel.ours) adopt_channel(app, number, std::move(channel.ours));
  heartbeats_.joined(app, number, std::move(heartbeat.ours));
  if (notify) notices_.adopt(app, number, std::move(notify));
  failpoint("spawn.adopted");
  return {};
}

void Executor::adopt_log(Instance& app, uint32_t spawn, logs::Channel channel, UniqueFd pipe) {
  failpoint("log.adopt.before");
  if (fcntl(pipe.get(), F_GETPIPE_SZ) >= kBigPipe) big_pipes_.insert({app.id, spawn, channel});
  m_.logs.add({app.id, spawn, channel}, std::move(pipe), stream_options(app, channel));
  failpoint("log.adopt.after");
}

void Executor::adopt_input(Instance& app, uint32_t spawn, UniqueFd pipe) {
  if (Side* side = side_of(app, spawn)) side->input = std::make_unique<InputPipe>(m_.loop, std::move(pipe));
}

void Executor::adopt_channel(Instance& app, uint32_t spawn, UniqueFd socket) {
  const uint32_t id = app.id;
  Side* side = side_of(app, spawn);
  if (side == nullptr) return;
  side->channel = std::make_unique<ipc::NodeChannel>(
      m_.loop, std::move(socket),
      [this, id, spawn](const Value& message) { workers_.message(id, spawn, message); },
      [this, id, spawn] { workers_.channel_ended(id, spawn); }, side->debt,
      [this, id, spawn](const ipc::ChannelDebt& debt) {
        Instance* owner = find_(id);
        Side* now = owner == nullptr ? nullptr : side_of(*owner, spawn);
        if (now == nullptr) return;
        now->debt = debt;
        noted_(*owner);
      },
      side->answers && answers_by_preload(*app.spec));
}

void Executor::set_rotation(const Instance& app) {
  for (const auto channel : {logs::Channel::out, logs::Channel::err})
    m_.logs.set_rotation(stream_options(app, channel));
}

void Executor::prepare_logs(const Instance& app) {
  if (app.spec->disable_logs) return;
  m_.logs.prepare(stream_options(app, logs::Channel::out));
  m_.logs.prepare(stream_options(app, logs::Channel::err));
}

logs::StreamOptions Executor::stream_options(const Instance& app, logs::Channel channel) const {
  const AppSpec& spec = *app.spec;
  logs::StreamOptions o;
  o.path = config::instance_log_path(spec, channel == logs::Channel::out ? spec.out_file : spec.error_file,
                                     app.id);
  if (!spec.log_file.empty()) o.combined = config::instance_log_path(spec, spec.log_file, app.id);
  o.date_format = spec.log_date_format;
  o.json = spec.log_type == "json";
  o.app_name = spec.name;
  o.process_id = app.id;
  if (m_.console != Console::none && m_.console != Console::quiet) o.show(m_.console, channel);
  o.uid = app.identity.uid;
  o.gid = app.identity.gid;
  o.rotation = rotation_of(spec, m_.rotation.rules());
  return o;
}

void Executor::process_ended(Instance& app, uint32_t spawn) {
  const uint32_t id = app.id;
  const auto open = std::make_shared<int>(2);
  for (const auto channel : {logs::Channel::out, logs::Channel::err}) {
    const std::string name = keep_name(channel == logs::Channel::out ? "out" : "err", id, spawn);
    big_pipes_.erase({id, spawn, channel});
    // The keeper's copy goes last: until then what the pipe holds survives a kill of this process.
    m_.logs.finish({id, spawn, channel}, [this, name, id, spawn, open] {
      failpoint("log.finished");
      m_.keeper.drop(name);
      if (--*open == 0) logs_ended_(id, spawn);
    });
  }
  m_.keeper.drop(keep_name("in", id, spawn));
  m_.keeper.drop(keep_name("said", id, spawn));
  m_.keeper.drop(keep_name("ipc", id, spawn));
  m_.keeper.drop(keep_name("hb", id, spawn));
  m_.keeper.drop(keep_name("notify", id, spawn));
  m_.tree.release(id, spawn);
}

}  // namespace tend::supervisor
