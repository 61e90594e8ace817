#include "core/autopsy/inspector_linux.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "core/autopsy/frames.h"
#include "core/autopsy/listeners_linux.h"
#include "core/autopsy/wire.h"
#include "core/base/unique_fd.h"

namespace tend::autopsy {
namespace {

constexpr std::size_t kPiece = 64 * 1024;

// A connection to a port of loopback. Each call ends by the deadline.
class Connection {
 public:
  explicit Connection(const Deadline& deadline) : deadline_(deadline), piece_(kPiece, '\0') {}

  bool open(uint16_t port) {
    fd_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0) return true;
    if (errno != EINPROGRESS || !ready(POLLOUT)) return false;
    int error = 0;
    socklen_t size = sizeof error;
    return ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
  }

  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (n > 0) text.remove_prefix(static_cast<std::size_t>(n));
      if (n < 0 && (errno == EAGAIN ? !ready(POLLOUT) : errno != EINTR)) return false;
    }
    return true;
  }

  // What has come, at least one byte; empty at the end, after an error and at the deadline.
  std::string_view receive() {
    while (ready(POLLIN)) {
      // The inspector leaves Nagle's algorithm on: its next message waits for our ACK, which the kernel would
      // keep back for 40 ms. The option lasts for one go only.
      const int on = 1;
      ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
      const ssize_t n = ::recv(fd_.get(), piece_.data(), piece_.size(), 0);
      if (n > 0) return std::string_view(piece_).substr(0, static_cast<std::size_t>(n));
      if (n == 0 || (errno != EAGAIN && errno != EINTR)) break;
    }
    return {};
  }

 private:
  bool ready(short events) {
    for (;;) {
      pollfd p{fd_.get(), events, 0};
      const int left = deadline_.left_ms();
      if (left == 0) return false;
      const int n = ::poll(&p, 1, left);
      if (n > 0) return true;
      if (n < 0 && errno != EINTR) return false;
    }
  }

  const Deadline& deadline_;
  UniqueFd fd_;
  std::string piece_;
};

// One request and its answer; `rest` gets the bytes behind it.
bool exchange(Connection& connection, const std::string& request, HttpAnswer& answer, std::string& rest) {
  if (!connection.send(request)) return false;
  for (std::string text;;) {
    const std::string_view more = connection.receive();
    if (more.empty()) return false;
    text.append(more);
    const Parse parse = parse_http(text, answer);
    if (parse == Parse::bad) return false;
    if (parse == Parse::more) continue;
    rest = text.substr(answer.used);
    return true;
  }
}

std::string request_line(const std::string& path, uint16_t port) {
  return "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) + "\r\n";
}

// The port that the process opens after the signal: a listening socket that was not there before, reachable
// over loopback, and held by that very process. 0 when none comes.
uint16_t wait_for_port(pid_t pid, const std::set<uint64_t>& before, const Deadline& deadline) {
  std::set<uint64_t> foreign;
  while (!deadline.passed()) {
    for (const Socket& s : listening_sockets(pid)) {
      const bool loopback = s.address >> 24 == 127 || s.address == INADDR_ANY;
      if (!loopback || before.count(s.inode) != 0 || foreign.count(s.inode) != 0) continue;
      if (holds_socket(pid, s.inode)) return s.port;
      foreign.insert(s.inode);
    }
    const timespec pause{0, 1'000'000};
    ::nanosleep(&pause, nullptr);
  }
  return 0;
}

}  // namespace

Result<List> javascript_stack(pid_t pid, int pidfd, const Deadline& deadline) {
  std::set<uint64_t> before;
  for (const Socket& s : listening_sockets(pid)) before.insert(s.inode);
  if (::syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, nullptr, 0) != 0) return fail_errno("SIGUSR1");
  const uint16_t port = wait_for_port(pid, before, deadline);
  if (port == 0) return fail("no JavaScript stack: the inspector did not open in time");

  HttpAnswer answer;
  std::string rest;
  Connection asking(deadline);
  if (!asking.open(port) || !exchange(asking, request_line("/json/list", port) + "\r\n", answer, rest))
    return fail("no JavaScript stack: the inspector did not answer in time");
  const std::string path = websocket_path(answer.body);
  if (answer.status != 200 || path.empty())
    return fail("no JavaScript stack: the inspector offers no target");

  // The key is any 16 bytes; the accept value is not checked, for the socket is known to be the process's
  // own.
  Connection talking(deadline);
  const std::string upgrade = request_line(path, port) +
                              "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGVuZCBsb29rcyBpbnRvIA==\r\n\r\n";
  if (!talking.open(port) || !exchange(talking, upgrade, answer, rest) || answer.status != 101)
    return fail("no JavaScript stack: the inspector did not let us in");
  if (!talking.send(text_frame(R"({"id":1,"method":"Debugger.enable"})") +
                    text_frame(R"({"id":2,"method":"Debugger.pause"})")))
    return fail("no JavaScript stack: the inspector hung up");

  Scripts scripts;
  List frames;
  bool paused = false;
  MessageReader reader;
  const auto message = [&](std::string_view text, bool) {
    scripts.add(text);
    if (paused || !is_paused(text)) return;
    paused = true;
    frames = frames_of(text, scripts);
  };
  for (std::string_view bytes = rest; reader.feed(bytes, message) && !paused;) {
    bytes = talking.receive();
    if (bytes.empty()) break;
  }
  // Both look the same from here: the loop answers nothing.
  if (frames.empty())
    return fail(
        "no JavaScript stack in time: native code (JSON, sort) is never paused, and thousands of scripts or "
        "a very deep "
        "stack take longer");
  return frames;
}

}  // namespace tend::autopsy
