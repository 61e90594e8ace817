#include "cmd/probe/tcp_attempt.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace tend::probe {
namespace {

struct Where {
  sockaddr_storage address{};
  socklen_t size = 0;  // 0: no address
};

Where read_address(const std::string& text, uint16_t port) {
  Where w;
  sockaddr_in four{};
  sockaddr_in6 six{};
  if (::inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    w.size = sizeof four;
    std::memcpy(&w.address, &four, sizeof four);
  } else if (::inet_pton(AF_INET6, text.c_str(), &six.sin6_addr) == 1) {
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    w.size = sizeof six;
    std::memcpy(&w.address, &six, sizeof six);
  }
  return w;
}

}  // namespace

TcpAttempt::TcpAttempt(loop::Loop& loop, Names& names, std::string host, uint16_t port, std::string source,
                       Done done)
    : loop_(loop),
      names_(names),
      host_(std::move(host)),
      port_(port),
      source_(std::move(source)),
      done_(std::move(done)) {}

TcpAttempt::~TcpAttempt() {
  if (resolving_) names_.forget(host_, ticket_);
  poll_.reset();
}

void TcpAttempt::start() {
  if (is_numeric(host_)) {
    addresses_ = {host_};
  } else if (is_localhost(host_)) {
    addresses_ = {"127.0.0.1", "::1"};
  } else {
    resolving_ = true;
    ticket_ = names_.find(host_, [this](const Found& found) {
      resolving_ = false;
      if (found.addresses.empty()) return done_(found.temporary ? not_asked(found.error) : bad(found.error));
      addresses_ = found.addresses;
      try_next();
    });
    return;
  }
  try_next();
}

void TcpAttempt::try_next() {
  while (next_ < addresses_.size()) {
    const Where where = read_address(addresses_[next_++], port_);
    if (where.size == 0) continue;
    socket_.reset(::socket(where.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket_) {
      give_up(errno);
      continue;
    }
    if (!source_.empty()) {
      const Where from = read_address(source_, 0);
      if (from.address.ss_family != where.address.ss_family) continue;
      if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&from.address), from.size) != 0)
        return done_(not_asked(std::strerror(errno)));
    }
    if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&where.address), where.size) == 0)
      return done_(good("connected"));
    if (errno == EINPROGRESS) {
      poll_ = std::make_unique<loop::Poll>(loop_, socket_.get(), [this](int) { connected(); });
      return poll_->watch(UV_WRITABLE);
    }
    give_up(errno);
  }
  done_(from_errno(last_error_));
}

// "localhost" is two addresses: what the first one said tells more than that there is no IPv6.
void TcpAttempt::give_up(int code) {
  if (last_error_ == 0) last_error_ = code;
}

void TcpAttempt::connected() {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  poll_->stop();
  former_poll_ = std::move(poll_);
  if (error == 0) return done_(good("connected"));
  give_up(error);
  try_next();
}

}  // namespace tend::probe
