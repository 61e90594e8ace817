#include "core/keeper/mirror.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <span>
#include <string>

#include "core/base/clock.h"
#include "core/keeper/wire.h"

namespace tend::keeper {
namespace {

constexpr int kCrowdedMs = 5;

// Messages to a keeper that reads, one after the other.
class Link {
 public:
  Link(int socket, uint64_t epoch, Millis end) : socket_(socket), epoch_(epoch), end_(end) {}

  Status send(Message message, std::span<const int> fds = {}) {
    message.epoch = epoch_;
    message.serial = ++serial_;
    message.fd_count = static_cast<uint32_t>(fds.size());
    for (;;) {
      const int code = send_message(socket_, message, fds);
      if (code == 0) return {};
      if (code == EAGAIN) {
        if (Status ready = await(POLLOUT); !ready) return ready;
      } else if (code == ETOOMANYREFS || code == ENOBUFS || code == ENOMEM) {
        if (left() == 0) return fail_errno("hand over to the keeper", ETIMEDOUT);
        ::poll(nullptr, 0, kCrowdedMs);
      } else {
        return fail_errno("hand over to the keeper", code);
      }
    }
  }

  // The end of the link is the answer; a refusal is a message.
  Status await_answer() {
    if (Status ready = await(POLLIN); !ready) return ready;
    Received answer;
    if (receive_message(socket_, answer) == Got::closed) return {};
    return fail_errno("the keeper refuses what it is given", static_cast<int>(answer.message.a));
  }

 private:
  int left() const {
    return static_cast<int>(std::clamp<int64_t>((end_ - SystemClock().now()).n, 0, INT_MAX));
  }
  Status await(short events) {
    pollfd p{socket_, events, 0};
    int n = 0;
    do {
      n = ::poll(&p, 1, left());
    } while (n < 0 && errno == EINTR);
    if (n == 1) return {};
    return fail_errno("hand over to the keeper", n == 0 ? ETIMEDOUT : errno);
  }

  int socket_;
  uint64_t epoch_;
  uint64_t serial_ = 0;
  Millis end_;
};

}  // namespace

Mirror::Process& Mirror::entry(uint32_t id, uint32_t spawn) {
  for (Process& p : processes_) {
    if (p.id == id && p.spawn == spawn) return p;
  }
  return processes_.emplace_back(Process{id, spawn, 0, {}});
}

void Mirror::asked(uint32_t id, uint32_t spawn) { entry(id, spawn); }

void Mirror::lives(uint32_t id, uint32_t spawn, pid_t pid, UniqueFd pidfd) {
  Process& p = entry(id, spawn);
  p.pid = pid;
  if (pidfd) p.pidfd = std::move(pidfd);
}

void Mirror::gone(uint32_t id, uint32_t spawn) {
  std::erase_if(processes_, [&](const Process& p) { return p.id == id && p.spawn == spawn; });
}

Status Mirror::hold(std::string_view name, int fd) {
  UniqueFd own(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!own) return fail_errno("keep a descriptor for " + std::string(name));
  held_.hold(name, std::move(own));
  return {};
}

Status Mirror::hand_over(int socket, uint64_t epoch, Millis limit) const {
  Link link(socket, epoch, SystemClock().now() + limit);
  for (const Process& p : processes_) {
    if (!p.pidfd || p.pid <= 1) continue;
    Message m;
    m.kind = Kind::adopt;
    m.id = p.id;
    m.spawn = p.spawn;
    m.a = p.pid;
    const int fd = p.pidfd.get();
    if (Status sent = link.send(m, {&fd, 1}); !sent) return sent;
  }
  for (std::size_t i = 0; i < held_.slots(); ++i) {
    const FdTable::Held& held = held_.slot(i);
    if (held.name.empty()) continue;
    Message m;
    m.kind = Kind::hold;
    std::memcpy(m.name, held.name.data(), held.name.size());
    const int fd = held.fd.get();
    if (Status sent = link.send(m, {&fd, 1}); !sent) return sent;
  }
  Message m;
  m.kind = Kind::handed_over;
  if (Status sent = link.send(m); !sent) return sent;
  return link.await_answer();
}

}  // namespace tend::keeper
