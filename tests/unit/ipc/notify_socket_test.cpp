#include "ipc/notify_socket.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/loop/timer.h"
#include "ipc/fd_passing_linux.h"

using namespace tend;
using namespace tend::ipc;

namespace {

struct Told {
  loop::Loop loop;
  std::string address;
  std::vector<std::pair<std::string, std::string>> said;
  std::function<void()> on_word = [] {};
  std::unique_ptr<NotifySocket> socket;

  Told() {
    auto fd = NotifySocket::open();
    REQUIRE(fd);
    auto name = NotifySocket::address(fd->get());
    REQUIRE(name);
    address = *name;
    socket = std::make_unique<NotifySocket>(loop, std::move(*fd), ::geteuid(),
                                            [this](std::string_view key, std::string_view value) {
                                              said.emplace_back(key, value);
                                              on_word();
                                            });
  }
  void run(Millis limit) {
    loop::Timer end(loop, [this] { loop.stop(); });
    end.start(limit);
    loop.run();
  }
};

// Sends as an app would, by the address of its environment; an `fd` rides along.
void send(const std::string& address, const std::string& text, int fd = -1) {
  const UniqueFd out(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  REQUIRE(address.front() == '@');
  REQUIRE(address.size() < sizeof to.sun_path);
  std::memcpy(to.sun_path + 1, address.data() + 1, address.size() - 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
  REQUIRE(::connect(out.get(), reinterpret_cast<const sockaddr*>(&to), size) == 0);
  const std::span<const int> fds(&fd, fd < 0 ? 0 : 1);
  const auto sent = send_with_fds(out.get(), std::as_bytes(std::span(text)), fds);
  REQUIRE(sent);
  CHECK(*sent == text.size());
}

}  // namespace

TEST_CASE("each line is a key and its value; what is none is passed over") {
  Told t;
  send(t.address, "STATUS=up = fine\nREADY=1\n\nnothing\n=\n");
  send(t.address, std::string(9000, 'x') + "=1");
  send(t.address, "LAST=");
  t.on_word = [&t] {
    if (t.said.back().first == "LAST") t.loop.stop();
  };
  t.run(Millis{5000});
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"STATUS", "up = fine"}, {"READY", "1"}, {"", ""}, {"LAST", ""}};
  CHECK(t.said == expected);
}

TEST_CASE("a descriptor that comes along is closed: who waits for the barrier goes on") {
  Told t;
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  send(t.address, "BARRIER=1", write_end.get());
  write_end.reset();
  t.on_word = [&t] { t.loop.stop(); };
  t.run(Millis{5000});
  char c;
  CHECK(::read(read_end.get(), &c, 1) == 0);
}

TEST_CASE("it may be destroyed by what it tells") {
  Told t;
  send(t.address, "A=1\nB=2");
  send(t.address, "C=3");
  t.on_word = [&t] {
    t.socket.reset();
    t.loop.stop();
  };
  t.run(Millis{5000});
  CHECK(t.said.size() == 1);
}

TEST_CASE("a stranger is not heard") {
  if (::geteuid() != 0) return;
  Told t;
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setuid(65534) != 0) ::_exit(1);
    send(t.address, "READY=1");
    ::_exit(0);
  }
  int status = 1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  send(t.address, "MINE=1");
  t.on_word = [&t] { t.loop.stop(); };
  t.run(Millis{5000});
  REQUIRE(t.said.size() == 1);
  CHECK(t.said[0].first == "MINE");
}
