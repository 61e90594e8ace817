// The writer is killed at random instants while an app writes numbered lines; every line arrives once and in
// order.
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cstring>
#include <random>

#include "fixture.h"

namespace tend::logs {
namespace {

// The keeper's side of it: names and descriptors in one message each; no descriptor means drop.
struct Remote final : Keepsakes {
  int socket;
  explicit Remote(int s) : socket(s) {}
  void send(std::string_view name, int fd) const {
    iovec text{const_cast<char*>(name.data()), name.size()};
    alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &text;
    message.msg_iovlen = 1;
    if (fd >= 0) {
      message.msg_control = space;
      message.msg_controllen = sizeof space;
      cmsghdr* head = CMSG_FIRSTHDR(&message);
      head->cmsg_level = SOL_SOCKET;
      head->cmsg_type = SCM_RIGHTS;
      head->cmsg_len = CMSG_LEN(sizeof fd);
      std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
    }
    ::sendmsg(socket, &message, 0);
  }
  void hold(std::string_view name, int fd) override { send(name, fd); }
  void drop(std::string_view name) override { send(name, -1); }
};

void receive(int socket, Pocket& pocket) {
  while (true) {
    char name[64];
    iovec text{name, sizeof name};
    alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &text;
    message.msg_iovlen = 1;
    message.msg_control = space;
    message.msg_controllen = sizeof space;
    const ssize_t n = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n <= 0) return;
    const std::string key(name, static_cast<std::size_t>(n));
    if (const cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
      pocket.held.insert_or_assign(key, UniqueFd(fd));
    } else {
      pocket.held.erase(key);
    }
  }
}

// Raw streams have a file each: where two share one, a kill in the middle of a write may put the other's
// bytes inside a line (no byte is lost), because raw mode does not look for lines.
void numbered_lines_survive(const char* date_format, bool combined) {
  const bool raw = *date_format == '\0' && !combined;
  constexpr int kKills = 30;
  Folder folder;
  StreamOptions options[2];
  for (int i = 0; i < 2; ++i) {
    options[i].path = folder / (raw && i == 1 ? "err.log" : "t.log");
    options[i].date_format = date_format;
    if (combined) options[i].combined = folder / "all.log";
  }
  int stop_ends[2];
  REQUIRE(::pipe2(stop_ends, O_CLOEXEC | O_NONBLOCK) == 0);
  UniqueFd stop_read(stop_ends[0]), stop_write(stop_ends[1]);
  UniqueFd pipes[2];
  pid_t apps[2];
  for (int i = 0; i < 2; ++i) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    pipes[i].reset(ends[0]);
    apps[i] = ::fork();
    REQUIRE(apps[i] >= 0);
    if (apps[i] == 0) {
      ::close(stop_write.release());
      for (int n = 0;; ++n) {
        const std::string line = std::string(i == 0 ? "out " : "err ") + std::to_string(n) + "\n";
        if (::write(ends[1], line.data(), line.size()) < 0) ::_exit(1);
        char byte = 0;
        if (::read(stop_read.get(), &byte, 1) == 0) ::_exit(0);
      }
    }
    ::close(ends[1]);
  }

  int sockets[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
  UniqueFd ours(sockets[0]), theirs(sockets[1]);
  Pocket pocket;
  std::mt19937 random(std::random_device{}());
  for (int round = 0; round <= kKills; ++round) {
    const bool last = round == kKills;
    if (last) {
      stop_write.reset();
    }
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      loop::Loop loop;
      const SystemClock clock;
      Remembered log;
      Remote remote(theirs.get());
      LogWriter writer(loop, clock, log, remote);
      for (auto& [name, fd] : pocket.held) writer.give_back(name, std::move(fd));
      for (int i = 0; i < 2; ++i) {
        writer.add({1, 1, i == 0 ? Channel::out : Channel::err},
                   UniqueFd(::fcntl(pipes[i].get(), F_DUPFD_CLOEXEC, 3)), options[i]);
      }
      loop::Timer quiet(loop, [&] {
        writer.finish({1, 1, Channel::out}, [&] {
          writer.finish({1, 1, Channel::err}, [&] { ::_exit(log.lines.empty() ? 0 : 3); });
        });
      });
      if (last) quiet.start({300});  // the apps end meanwhile
      loop.run();
      ::_exit(2);
    }
    int status = 0;
    if (!last) {
      ::usleep(static_cast<useconds_t>(random() % 15000));
      ::kill(child, SIGKILL);
    } else {
      for (const pid_t app : apps) ::waitpid(app, nullptr, 0);
    }
    ::waitpid(child, &status, 0);
    if (last) CHECK(status == 0);
    receive(ours.get(), pocket);
  }

  for (const std::string_view name : {"t.log", "err.log", "all.log"}) {
    if ((!combined && name == "all.log") || (!raw && name == "err.log")) continue;
    std::ifstream in(folder / std::string(name).c_str());
    int next[2] = {0, 0};
    std::string wrong;
    const std::string stamp = *date_format != '\0' ? "T: " : "";
    for (std::string line; wrong.empty() && std::getline(in, line);) {
      const bool err = line.compare(stamp.size(), 3, "err") == 0;
      const std::string expected = stamp + (err ? "err " : "out ") + std::to_string(next[err]++);
      if (line != expected) wrong = "found '" + line.substr(0, 80) + "' for '" + expected + "'";
    }
    CHECK(wrong == "");
    CHECK((next[0] > 1000) == (name != "err.log"));
    CHECK((next[1] > 1000) == (!raw || name == "err.log"));
    MESSAGE(std::string(name) << ": " << next[0] + next[1] << " lines over " << kKills << " kills");
  }
}

TEST_CASE("32: a killed writer loses and doubles no line") {
  SUBCASE("raw") { numbered_lines_survive("", false); }
  SUBCASE("dated") { numbered_lines_survive("[T]", false); }
  SUBCASE("combined") { numbered_lines_survive("[T]", true); }
}

}  // namespace
}  // namespace tend::logs
