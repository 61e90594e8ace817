// What an order to update is answered, by what the keeper says of it.
#include "core/supervisor/upgrade.h"

#include <doctest/doctest.h>

#include <cerrno>

#include "core/keeper/wire.h"

namespace tend::supervisor {
namespace {

struct FakeCall final : ipc::Call {
  explicit FakeCall(Value given) : params_(std::move(given)) {}
  const std::string& method() const override { return method_; }
  const Value& params() const override { return params_; }
  const ipc::Peer& peer() const override { return peer_; }
  void reply(Value result) override { replied = std::move(result); }
  void error(std::string_view text, int) override { failed = text; }
  bool item(Value) override { return true; }
  void on_cancel(std::function<void()>) override {}
  bool open() const override { return true; }
  uint64_t dropped() const override { return 0; }

  Value replied;
  std::string failed;

 private:
  Value params_;
  std::string method_ = "update";
  ipc::Peer peer_{};
};

struct Side {
  Side() { REQUIRE(made); }
  std::shared_ptr<FakeCall> order(const std::string& program) {
    auto call = std::make_shared<FakeCall>(Map{{"program", program}});
    upgrade.begin(call);
    return call;
  }
  // What the keeper got: a request with the program, or nothing.
  bool asked() {
    keeper::Received received;
    return keeper::receive_message(ours.get(), received) == keeper::Got::message &&
           received.message.kind == keeper::Kind::upgrade && received.fd_count == 1;
  }
  void refuse(int code, const std::string& text = "") {
    keeper::Report report;
    report.kind = keeper::Kind::refused;
    report.a = code;
    report.name = text;
    upgrade.refused(report);
  }

  loop::Loop loop;
  UniqueFd ours, theirs;
  bool made = keeper::message_pair(ours, theirs);  // before the client takes its end
  keeper::Client client{loop, std::move(theirs), 1, [](keeper::Report) {}, [] {}};
  Upgrade upgrade{client};
};

}  // namespace

TEST_CASE("what is no program never reaches the keeper") {
  Side side;
  for (const char* program : {"", "relative", "/nowhere", "/tmp"}) {
    const auto call = side.order(program);
    CHECK_MESSAGE(!call->failed.empty(), program);
    CHECK_FALSE(side.asked());
  }
}

TEST_CASE("one order at a time, and the next when the keeper refused it") {
  Side side;
  const auto first = side.order("/bin/true");
  CHECK(side.asked());
  CHECK(side.order("/bin/true")->failed == "another update is under way");
  CHECK_FALSE(side.asked());
  side.refuse(ENOEXEC, "journal version 2");
  CHECK(first->failed == "/bin/true: journal version 2");
  side.refuse(ENOEXEC, "told to nobody");
  CHECK(first->failed == "/bin/true: journal version 2");
  const auto second = side.order("/bin/true");
  CHECK(side.asked());
  side.refuse(ENOEXEC);
  CHECK(second->failed == "/bin/true: it does not say that it can take over");
}

TEST_CASE("a keeper that does not know the request is told from one that refuses it") {
  for (const int code : {ENOSYS, EINVAL}) {
    Side side;
    const auto call = side.order("/bin/true");
    side.refuse(code);
    CHECK(call->failed.empty());
    CHECK(call->replied.at("supervisor_only").boolean());
  }
  for (const auto& [code, words] : {std::pair{ECANCELED, std::string("the daemon is about to end")},
                                    std::pair{ETIMEDOUT, std::string("/bin/true does not answer")},
                                    std::pair{EBUSY, std::string("another update is under way")}}) {
    Side side;
    const auto call = side.order("/bin/true");
    side.refuse(code);
    CHECK(call->failed == words);
  }
}

}  // namespace tend::supervisor
