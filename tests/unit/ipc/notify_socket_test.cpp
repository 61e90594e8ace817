#include "ipc/notify_socket.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstring>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "core/loop/timer.h"
#include "ipc/fd_passing_linux.h"

using namespace tend;
using namespace tend::ipc;

namespace {

struct Told {
  loop::Loop loop;
  std::string address;
  std::vector<std::string> said;  // the keys
  std::vector<NotifySender> senders;
  std::vector<UniqueFd> kept;
  std::function<void()> on_word = [] {};
  bool keep = false;
  std::unique_ptr<NotifySocket> socket;

  Told() {
    auto fd = NotifySocket::open();
    REQUIRE(fd);
    auto name = NotifySocket::address(fd->get());
    REQUIRE(name);
    address = *name;
    socket = std::make_unique<NotifySocket>(
        loop, std::move(*fd), ::geteuid(),
        [this](const NotifyMessage& message, const NotifySender& sender, std::span<UniqueFd> fds) {
          for (const auto& line : message) said.emplace_back(line.key);
          senders.push_back(sender);
          if (keep) std::move(fds.begin(), fds.end(), std::back_inserter(kept));
          on_word();
        });
    socket->listen();
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

TEST_CASE("messages come whole and in order with their sender; one that is too long does not come") {
  Told t;
  send(t.address, "STATUS=fine\nREADY=1\n");
  send(t.address, std::string(9000, 'x') + "=1");
  send(t.address, "LAST=");
  t.on_word = [&t] {
    if (t.said.back() == "LAST") t.loop.stop();
  };
  t.run(Millis{5000});
  CHECK(t.said == std::vector<std::string>{"STATUS", "READY", "LAST"});
  REQUIRE(t.senders.size() == 2);
  CHECK(t.senders[0].pid == ::getpid());
  CHECK(t.senders[0].uid == ::geteuid());
}

TEST_CASE("what was sent before the end is there to be drained, without a turn of the loop") {
  Told t;
  send(t.address, "STATUS=bye");
  t.socket->drain();
  CHECK(t.said == std::vector<std::string>{"STATUS"});
}

TEST_CASE("a descriptor is the callee's if it takes it") {
  Told t;
  t.keep = true;
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  send(t.address, "FDSTORE=1", write_end.get());
  write_end.reset();
  t.socket->drain();
  REQUIRE(t.kept.size() == 1);
  CHECK(::write(t.kept[0].get(), "x", 1) == 1);
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
  send(t.address, "A=1");
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
  CHECK(t.said[0] == "MINE");
}
