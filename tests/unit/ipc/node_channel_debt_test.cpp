// What a channel's manager tells to be owed, and what a successor makes of it.
#include "ipc/node_channel.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <vector>

#include "ipc/fd_passing_linux.h"
#include "ipc/msgpack.h"

using namespace tend;
using namespace tend::ipc;

namespace {

// A channel whose manager dies at a moment of the test's choice: what it told to be owed is all that is left.
struct Mortal {
  loop::Loop loop;
  UniqueFd app, kept;  // kept: the keeper's duplicate
  std::vector<Value> got;
  ChannelDebt debt;
  std::vector<ChannelDebt> told;
  std::unique_ptr<NodeChannel> channel;

  Mortal() {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    kept.reset(fds[0]);
    app.reset(fds[1]);
  }
  ~Mortal() {
    channel.reset();
    turn();
  }
  void live(bool can_ask = false) {
    channel = std::make_unique<NodeChannel>(
        loop, UniqueFd(::fcntl(kept.get(), F_DUPFD_CLOEXEC, 3)),
        [this](Value v) { got.push_back(std::move(v)); }, [] {}, debt,
        [this](const ChannelDebt& now) {
          debt = now;
          told.push_back(now);
        },
        can_ask);
  }
  void turn() {
    for (int i = 0; i < 4; ++i) uv_run(loop.raw(), UV_RUN_NOWAIT);
  }
  void say(std::string_view text) const {
    REQUIRE(::send(app.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  }
  std::string heard() const {
    std::string out(1 << 20, '\0');
    const ssize_t n = ::recv(app.get(), out.data(), out.size(), MSG_DONTWAIT);
    out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return out;
  }
};

constexpr std::string_view kHandleLine = "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":\"m\"}\n";
constexpr std::string_view kAckLine = "{\"cmd\":\"NODE_HANDLE_ACK\"}\n";

}  // namespace

TEST_CASE("an ACK is told as owed before the handle is consumed, and as paid when it is sent") {
  Mortal m;
  m.live();
  m.say(kHandleLine);
  m.turn();
  CHECK(m.told == std::vector<ChannelDebt>{{true, false}, {false, false}});
  CHECK(m.heard() == kAckLine);
}

TEST_CASE("a manager that died before it consumed the handle leaves it to its successor, who sends one ACK") {
  Mortal m;
  m.say(kHandleLine);
  m.debt = {true, false};
  m.live();
  m.turn();
  CHECK(m.heard() == kAckLine);
  CHECK(m.got.size() == 1);
  CHECK(m.debt == ChannelDebt{});
}

TEST_CASE("a manager that died after it consumed the handle owes its ACK") {
  Mortal m;
  m.debt = {true, false};
  m.live();
  m.turn();
  CHECK(m.heard() == kAckLine);
  CHECK(m.debt == ChannelDebt{});
}

TEST_CASE("where the app can be asked, no ACK is sent on a guess") {
  for (const bool awaits : {true, false}) {
    Mortal m;
    m.debt = {true, false};
    m.live(true);
    m.turn();
    CHECK(m.heard().empty());
    REQUIRE(m.channel->unsure());
    CHECK(m.channel->all_read());
    CHECK(m.debt == ChannelDebt{true, false});  // a next successor has to ask too
    m.channel->resolve(awaits);
    CHECK(m.heard() == (awaits ? kAckLine : ""));
    CHECK(m.debt == ChannelDebt{});
  }
}

TEST_CASE("an app that goes on while it is asked needs no ACK") {
  Mortal m;
  m.debt = {true, false};
  m.live(true);
  m.say("{\"type\":\"next\"}\n");
  m.turn();
  CHECK(!m.channel->unsure());
  m.channel->resolve(true);  // the answer to a question that was asked before
  CHECK(m.heard().empty());
  CHECK(m.debt == ChannelDebt{});
}

TEST_CASE("an app that went on has its ACK: a second one would end it") {
  Mortal m;
  m.debt = {true, false};
  m.say("{\"type\":\"next\"}\n");
  m.live();
  m.turn();
  CHECK(m.heard().empty());
  CHECK(m.got.size() == 1);
  CHECK(m.debt == ChannelDebt{});
}

TEST_CASE("the rest of a line whose begin a predecessor consumed is skipped, and nothing after it") {
  Mortal m;
  m.debt = {false, true};
  m.say("\"tail\"\n{\"type\":\"next\"}\n");
  m.live();
  m.turn();
  REQUIRE(m.got.size() == 1);
  CHECK(m.got[0].at("type").text() == "next");
  CHECK(m.debt == ChannelDebt{});
}

TEST_CASE("a line that is gathered is told as half until its end is there") {
  Mortal m;
  m.live();
  const std::string half(70'000, 'x');
  m.say("\"" + half);
  m.turn();
  CHECK(m.debt == ChannelDebt{false, true});
  m.say("\"\n");
  m.turn();
  CHECK(m.debt == ChannelDebt{});
  REQUIRE(m.got.size() == 1);
  CHECK(m.got[0].text() == half);
}

TEST_CASE("an ACK that waits for room in the socket is still owed") {
  Mortal m;
  m.live();
  const std::string text(30'000, 'y');
  while (m.channel->send(text)) {
  }
  m.say(kHandleLine);
  m.turn();
  CHECK(m.debt == ChannelDebt{true, false});
  std::string all;
  for (int i = 0; i < 200 && m.debt.ack; ++i) {
    all += m.heard();
    m.turn();
  }
  all += m.heard();
  CHECK(m.debt == ChannelDebt{});
  CHECK(all.find(kAckLine) != all.npos);
}

TEST_CASE("an app that answers a handle of ours while it waits for its own ACK has not gone on") {
  Mortal m;
  m.debt = {true, false};
  m.say(kAckLine);
  m.live();
  CHECK(m.heard() == kAckLine);
  m.turn();
  CHECK(m.heard().empty());
}

TEST_CASE("a long line with a handle is ACKed by the successor that finds its rest") {
  Mortal m;
  m.live();
  m.say("{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":\"" + std::string(70'000, 'x'));
  m.turn();
  CHECK(m.debt == ChannelDebt{true, true});
  m.channel.reset();
  m.turn();
  m.say("\"}\n");
  m.live();
  m.turn();
  CHECK(m.heard() == kAckLine);
  CHECK(m.debt == ChannelDebt{});
  m.say("{\"type\":\"next\"}\n");
  m.turn();
  REQUIRE(m.got.size() == 1);
  CHECK(m.got[0].at("type").text() == "next");
}

TEST_CASE("a line of 60 KB to an app that does not read is whole in the socket, or not begun") {
  Mortal m;
  m.live();
  const std::string text(60'000, 'y');
  for (int i = 0; i < 8; ++i) m.channel->send(text);
  m.channel.reset();  // it dies: what was queued is lost, what was begun is whole
  m.turn();
  std::string all;
  for (std::string part = m.heard(); !part.empty(); part = m.heard()) all += part;
  REQUIRE(!all.empty());
  CHECK(all.back() == '\n');
  CHECK(all.size() % (text.size() + 3) == 0);
}
