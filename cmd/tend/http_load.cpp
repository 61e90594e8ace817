#include "cmd/tend/http_load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "core/base/clock.h"
#include "core/base/unique_fd.h"

namespace tend::cli {
namespace {

constexpr int kClients = 8;  // of each kind
constexpr Millis kAnswerTime{5'000};
constexpr int kPauseMs = 20;                   // after a refusal, as a client that tries again
constexpr std::size_t kMostAnswer = 4u << 20;  // bytes; what is longer counts as answered

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

std::string request_of(const std::string& path, bool keeps) {
  return "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: tend-drill\r\n" +
         (keeps ? "\r\n" : "Connection: close\r\n\r\n");
}

bool await(int fd, short events, int64_t end) {
  pollfd p{fd, events, 0};
  for (;;) {
    const int64_t left = std::clamp<int64_t>(end - SystemClock().now().n, 0, INT_MAX);
    const int n = ::poll(&p, 1, static_cast<int>(left));
    if (n >= 0 || errno != EINTR) return n > 0;
  }
}

// Empty, errno set: refused or too late.
UniqueFd connect_to(uint16_t port, int64_t end) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port);
  if (!fd) return {};
  const int one = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  if (errno != EINPROGRESS) return {};
  if (!await(fd.get(), POLLOUT, end)) return errno = ETIMEDOUT, UniqueFd();
  int code = 0;
  socklen_t size = sizeof code;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &code, &size);
  if (code != 0) return errno = code, UniqueFd();
  return fd;
}

enum class Got { answer, nothing, cut, late };  // nothing: closed before the first byte

struct Answer {
  Got got = Got::nothing;
  int status = 0;
  bool closes = false;  // the connection cannot be used again
};

// A header's value, lower case; "" when it is not there.
std::string header_of(const std::string& head, const std::string& name) {
  const auto at = head.find("\r\n" + name + ":");
  if (at == std::string::npos) return {};
  const auto from = head.find_first_not_of(' ', at + name.size() + 3);
  return head.substr(from, head.find("\r\n", from) - from);
}

// Whether `text` is a whole answer; of one without a length only the end of the connection tells.
bool whole(const std::string& text, bool ended, Answer& out) {
  const auto end = text.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  std::string head = text.substr(0, end + 2);
  std::transform(head.begin(), head.end(), head.begin(), [](unsigned char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : static_cast<char>(c);
  });
  out.status = head.size() > 12 ? std::atoi(head.c_str() + 9) : 0;
  out.closes = ended || header_of(head, "connection") == "close";
  const std::size_t body = text.size() - end - 4;
  if (out.status == 204 || out.status == 304) return true;
  if (const std::string length = header_of(head, "content-length"); !length.empty())
    return body >= std::strtoull(length.c_str(), nullptr, 10) || text.size() > kMostAnswer;
  if (header_of(head, "transfer-encoding").find("chunked") != std::string::npos)
    return text.ends_with("0\r\n\r\n") || text.size() > kMostAnswer;
  return ended || text.size() > kMostAnswer;
}

Answer exchange(int fd, const std::string& request, int64_t end) {
  Answer out;
  std::string text;
  for (std::size_t sent = 0; sent < request.size();) {
    const ssize_t n = ::send(fd, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (n > 0) {
      sent += static_cast<std::size_t>(n);
    } else if (errno != EAGAIN) {
      return out;
    } else if (!await(fd, POLLOUT, end)) {
      out.got = Got::late;
      return out;
    }
  }
  for (;;) {
    char piece[8192];
    const ssize_t n = ::recv(fd, piece, sizeof piece, 0);
    if (n > 0) {
      text.append(piece, static_cast<std::size_t>(n));
      if (text.size() > kMostAnswer + sizeof piece) text.resize(kMostAnswer + 1);
      if (!whole(text, false, out)) continue;
    } else if (n < 0 && errno == EAGAIN) {
      if (await(fd, POLLIN, end)) continue;
      out.got = Got::late;
      return out;
    } else if (text.empty() || !whole(text, n == 0, out)) {
      out.got = text.empty() ? Got::nothing : Got::cut;
      return out;
    }
    out.got = Got::answer;
    return out;
  }
}

}  // namespace

HttpLoad::HttpLoad(uint16_t port, std::string path)
    : port_(port),
      request_(request_of(path, true)),
      last_request_(request_of(path, false)),
      began_(SystemClock().now().n) {
  for (int i = 0; i < 2 * kClients; ++i)
    clients_.emplace_back([this, keeps = i < kClients] { client(keeps); });
}

HttpLoad::~HttpLoad() {
  stopping_ = true;
  for (std::thread& one : clients_)
    if (one.joinable()) one.join();
}

LoadTally HttpLoad::stop() {
  stopping_ = true;
  for (std::thread& one : clients_) one.join();
  std::sort(answers_.begin(), answers_.end());
  answers_.push_back(SystemClock().now().n);
  int64_t before = began_;
  for (const int64_t at : answers_) {
    tally_.gap = std::max(tally_.gap, Millis{at - before});
    before = at;
  }
  return tally_;
}

void HttpLoad::client(bool keeps) {
  const std::string& request = keeps ? request_ : last_request_;
  UniqueFd kept;
  while (!stopping_) {
    // Whoever asks after the end was announced is to be refused.
    const bool free_of_charge = ending_;
    const int64_t end = (SystemClock().now() + kAnswerTime).n;
    Answer answer;
    bool refused = false, late = false;
    if (kept) answer = exchange(kept.get(), request, end);
    if (!kept || answer.got == Got::nothing) {
      kept = connect_to(port_, end);
      late = !kept && errno == ETIMEDOUT;
      refused = !kept && !late;
      if (kept) answer = exchange(kept.get(), request, end);
    }
    const bool answered = kept && answer.got == Got::answer;
    late = late || (kept && answer.got == Got::late);
    {
      const std::lock_guard lock(mutex_);
      if (answered) {
        ++tally_.answered;
        answers_.push_back(SystemClock().now().n);
      }
      if (!free_of_charge) {
        tally_.errors += answered && answer.status >= 500 ? 1 : 0;
        // Refused between its beginning and the announcement: the end came first.
        tally_.refused += refused && !ending_ ? 1 : 0;
        tally_.late += late ? 1 : 0;
        tally_.cut += kept && !answered && !late ? 1 : 0;
      }
    }
    if (!answered || answer.closes || !keeps) kept.reset();
    if (!answered) ::poll(nullptr, 0, kPauseMs);
  }
}

int ask_http(uint16_t port, const std::string& path, Millis limit) {
  const int64_t end = (SystemClock().now() + limit).n;
  const UniqueFd fd = connect_to(port, end);
  if (!fd) return 0;
  const Answer answer = exchange(fd.get(), request_of(path, false), end);
  return answer.got == Got::answer ? answer.status : 0;
}

uint16_t free_port() {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return 0;
  return ntohs(address.sin_port);
}

}  // namespace tend::cli
