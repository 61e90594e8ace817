#include "core/keeper/client.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <span>
#include <utility>

#include "core/base/failpoint.h"
#include "core/keeper/spawn_blob.h"
#include "core/keeper/wire.h"
#include "core/loop/poll.h"
#include "core/loop/timer.h"

namespace tend::keeper {
namespace {

constexpr int kReportsPerTurn = 64;
constexpr Millis kCrowdedRetry{5};

struct Queued {
  Message message;
  std::vector<UniqueFd> fds;
};

bool is_transient(int code) {
  return code == EAGAIN || code == ETOOMANYREFS || code == ENOBUFS || code == ENOMEM;
}

}  // namespace

struct Client::Impl {
  Impl(loop::Loop& loop, UniqueFd s, uint64_t e, std::function<void(Report)> r, std::function<void()> l)
      : socket(std::move(s)),
        epoch(e),
        report(std::move(r)),
        lost(std::move(l)),
        poll(loop, socket.get(), [this](int events) { on_ready(events); }),
        retry(loop, [this] { drain(); }) {
    poll.watch(UV_READABLE);
  }

  Status send(Message message, std::span<const int> fds = {});
  Status enqueue(const Message& message, std::span<const int> fds);
  void on_ready(int events);
  void drain();
  void wait_for(int code);
  bool read_some();
  void deliver(Received& received);
  void reflect(Report& report);
  void on_newer_keeper();
  void on_end();

  UniqueFd socket;
  uint64_t epoch;
  std::function<void(Report)> report;
  std::function<void()> lost;
  uint64_t serial = 0;
  bool ended = false;
  Mirror mirror;
  bool foreign = false;
  bool repeats = false;  // the keeper knows how
  Received received;
  std::deque<Queued> queue;  // what the keeper did not take yet; in order, so nothing overtakes it
  loop::Poll poll;           // before the socket goes
  loop::Timer retry;
};

// Sends now, or queues duplicates of the descriptors. Error: they could not be duplicated; nothing happened.
Status Client::Impl::send(Message message, std::span<const int> fds) {
  if (ended) return {};  // the owner learned it from lost()
  message.epoch = epoch;
  message.serial = serial + 1;
  message.fd_count = static_cast<uint32_t>(fds.size());
  if (!queue.empty()) return enqueue(message, fds);
  const int code = send_message(socket.get(), message, fds);
  if (is_transient(code)) {
    Status queued = enqueue(message, fds);
    if (queued) wait_for(code);
    return queued;
  }
  if (code == EBADF) return fail_errno("send descriptors to the keeper", code);
  ++serial;  // any other failure is the keeper's end: the reading side will tell
  return {};
}

Status Client::Impl::enqueue(const Message& message, std::span<const int> fds) {
  Queued item{message, {}};
  item.fds.reserve(fds.size());
  for (const int fd : fds) {
    item.fds.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!item.fds.back()) return fail_errno("keep a descriptor for the keeper");
  }
  queue.push_back(std::move(item));
  ++serial;
  return {};
}

void Client::Impl::wait_for(int code) {
  if (code == EAGAIN) {
    poll.watch(UV_READABLE | UV_WRITABLE);
  } else {  // descriptors in flight or memory: no event tells when there is room
    poll.watch(UV_READABLE);
    retry.start(kCrowdedRetry);
  }
}

void Client::Impl::drain() {
  while (!ended && !queue.empty()) {
    const Queued& item = queue.front();
    std::array<int, kMaxFdsPerMessage> fds{};
    for (size_t i = 0; i < item.fds.size(); ++i) fds[i] = item.fds[i].get();
    const int code =
        send_message(socket.get(), item.message, std::span<const int>(fds).first(item.fds.size()));
    if (is_transient(code)) return wait_for(code);
    queue.pop_front();
  }
  if (!ended) poll.watch(UV_READABLE);
}

void Client::Impl::on_ready(int events) {
  if ((events & UV_WRITABLE) != 0) drain();
  if ((events & ~UV_WRITABLE) != 0 && !ended && !read_some()) on_end();
}

// At most a batch a turn: the poll is level-triggered and comes again. False: the keeper's end closed.
bool Client::Impl::read_some() {
  for (int i = 0; i < kReportsPerTurn; ++i) {
    switch (receive_message(socket.get(), received)) {
      case Got::nothing:
        return true;
      case Got::closed:
        return false;
      case Got::malformed:
        break;
      case Got::cut:
        // Descriptors that did not fit into our table: the report says which, its fd is missing.
        received.message.fd_count = static_cast<uint32_t>(received.fd_count);
        [[fallthrough]];
      case Got::message:
        switch (check_message(received, epoch)) {
          case 0:
            deliver(received);
            break;
          case EPROTONOSUPPORT:
            on_newer_keeper();
            break;
        }
        break;
    }
  }
  return true;
}

void Client::Impl::deliver(Received& from) {
  const Message& m = from.message;
  if (m.kind == Kind::terminate) {
    // Shows the keeper at once that this loop turns; the acknowledgement of nothing changes nothing.
    Message stir;
    stir.kind = Kind::ack;
    [[maybe_unused]] const Status sent = send(stir);
  }
  Report out;
  out.kind = m.kind;
  out.id = m.id;
  out.spawn = m.spawn;
  out.flags = m.flags;
  if (m.kind == Kind::synced) repeats = (m.flags & kRepeats) != 0;
  out.a = m.a;
  out.b = m.b;
  out.c = m.c;
  out.name = m.name;
  if (from.fd_count > 0) out.fd = std::move(from.fds[0]);
  reflect(out);
  report(std::move(out));
}

void Client::Impl::reflect(Report& r) {
  switch (r.kind) {
    case Kind::spawned:
    case Kind::spawn_pending:
      return mirror.lives(r.id, r.spawn, static_cast<pid_t>(r.a), std::move(r.fd));
    case Kind::spawn_failed:
    case Kind::exited:
      return mirror.gone(r.id, r.spawn);
    case Kind::refused:
      if (r.c == static_cast<int64_t>(Kind::spawn)) mirror.gone(r.id, r.spawn);
      return;
    case Kind::held:
      // Without a copy it would be lost with this keeper, no sooner.
      if (r.fd) [[maybe_unused]]
        const Status kept = mirror.hold(r.name, r.fd.get());
      return;
    default:
      return;
  }
}

// Told as a keeper that refuses the hello: with neither there is a common language.
void Client::Impl::on_newer_keeper() {
  if (std::exchange(foreign, true)) return;
  Report out;
  out.kind = Kind::refused;
  out.a = EPROTONOSUPPORT;
  out.c = static_cast<int64_t>(Kind::hello);
  report(std::move(out));
}

void Client::Impl::on_end() {
  ended = true;
  poll.stop();
  retry.stop();
  queue.clear();
  lost();
}

Client::Client(loop::Loop& loop, UniqueFd socket, uint64_t epoch, std::function<void(Report)> report,
               std::function<void()> lost)
    : impl_(std::make_unique<Impl>(loop, std::move(socket), epoch, std::move(report), std::move(lost))) {}

Client::~Client() = default;

void Client::hello() {
  Message m;
  m.kind = Kind::hello;
  m.a = kVersion;
  [[maybe_unused]] const Status sent = impl_->send(m);
}

Status Client::spawn(const SpawnRequest& request) {
  std::array<int, kMaxFdsPerMessage> fds{};
  const size_t own = request.cgroup_fd >= 0 ? 2 : 1;
  if (request.child_fds.size() > fds.size() - own) {
    return fail("too many descriptors for one process: " + std::to_string(request.child_fds.size()) +
                    ", accepted " + std::to_string(fds.size() - own),
                EINVAL);
  }
  const Result<UniqueFd> blob = make_blob(request);
  if (!blob) return tl::unexpected<Error>(blob.error());
  Message m;
  m.kind = Kind::spawn;
  m.id = request.id;
  m.spawn = request.spawn;
  fds[0] = blob->get();
  if (own == 2) {
    m.flags |= kHasCgroup;
    fds[1] = request.cgroup_fd;
  }
  if (request.repeat && impl_->repeats) {
    m.flags |= kRepeats;
    m.a = request.repeat_delay.n;
    std::memcpy(m.name, &*request.repeat, sizeof m.name);
  }
  std::copy(request.child_fds.begin(), request.child_fds.end(),
            fds.begin() + static_cast<std::ptrdiff_t>(own));
  Status sent = impl_->send(m, std::span<const int>(fds).first(own + request.child_fds.size()));
  if (sent) impl_->mirror.asked(request.id, request.spawn);
  return sent;
}

void Client::ack(uint32_t id, uint32_t spawn) {
  failpoint("ack.before");
  Message m;
  m.kind = Kind::ack;
  m.id = id;
  m.spawn = spawn;
  [[maybe_unused]] const Status sent = impl_->send(m);
  failpoint("ack.after");
}

void Client::forsake(uint32_t id, uint32_t spawn) {
  if (!impl_->repeats) return;
  Message m;
  m.kind = Kind::forsake;
  m.id = id;
  m.spawn = spawn;
  [[maybe_unused]] const Status sent = impl_->send(m);
}

void Client::noted(uint32_t id, uint32_t spawn, uint32_t repeats) {
  Message m;
  m.kind = Kind::noted;
  m.id = id;
  m.spawn = spawn;
  m.a = repeats;
  [[maybe_unused]] const Status sent = impl_->send(m);
}

void Client::signal(uint32_t id, uint32_t spawn, int number) {
  Message m;
  m.kind = Kind::signal;
  m.id = id;
  m.spawn = spawn;
  m.a = number;
  [[maybe_unused]] const Status sent = impl_->send(m);
}

Status Client::hold(std::string_view name, int fd) {
  if (name.empty() || name.size() >= kNameSize || name.find('\0') != std::string_view::npos) {
    return fail("hold " + std::string(name) + ": a name has 1 to 63 bytes", EINVAL);
  }
  if (Status kept = impl_->mirror.hold(name, fd); !kept) return kept;
  Message m;
  m.kind = Kind::hold;
  std::memcpy(m.name, name.data(), name.size());
  failpoint("hold.before");
  Status sent = impl_->send(m, {&fd, 1});
  failpoint("hold.after");
  return sent;
}

void Client::drop(std::string_view name) {
  if (name.size() >= kNameSize) return;  // nothing can be held under it
  impl_->mirror.drop(name);
  Message m;
  m.kind = Kind::drop;
  std::memcpy(m.name, name.data(), name.size());
  failpoint("drop.before");
  [[maybe_unused]] const Status sent = impl_->send(m);
  failpoint("drop.after");
}

void Client::serving() {
  Message m;
  m.kind = Kind::serving;
  failpoint("serving.before");
  [[maybe_unused]] const Status sent = impl_->send(m);
  failpoint("serving.after");
}

Mirror& Client::mirror() { return impl_->mirror; }

Status Client::upgrade(int program) {
  Message m;
  m.kind = Kind::upgrade;
  return impl_->send(m, {&program, 1});
}

bool Client::idle() const { return impl_->queue.empty(); }

void Client::shutdown() {
  Message m;
  m.kind = Kind::shutdown;
  failpoint("shutdown.before");
  [[maybe_unused]] const Status sent = impl_->send(m);
  failpoint("shutdown.after");
}

}  // namespace tend::keeper
