#include "cmd/tend/event_feed.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <utility>

#include "core/model/api.h"
#include "ipc/rpc_client.h"

namespace tend::cli {
namespace {

constexpr int kAgainMs = 20, kAgainAtMostMs = 500;

}  // namespace

EventFeed::EventFeed(std::string socket)
    : socket_(std::move(socket)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] { read(); }) {}

void EventFeed::finish() {
  ended_ = true;
  if (thread_.joinable()) thread_.join();
}

void EventFeed::put(const Value& event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(event);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
}

std::vector<Value> EventFeed::take() {
  const std::lock_guard lock(mutex_);
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = ::read(wake_.get(), &count, sizeof count);
  return std::exchange(events_, {});
}

void EventFeed::read() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  int wait = kAgainMs;
  while (!ended_) {
    if (auto client = ipc::RpcClient::connect(socket_)) {
      put(Value());
      connected_ = true;
      (void)client->stream(api::kSubscribe, Map{}, [this](const Value& event) {
        if (event.at("kind").text() == "event") put(event);
        return true;
      });
      connected_ = false;
      wait = kAgainMs;
    }
    if (!ended_) ::poll(nullptr, 0, wait);
    wait = std::min(wait * 2, kAgainAtMostMs);
  }
}

}  // namespace tend::cli
