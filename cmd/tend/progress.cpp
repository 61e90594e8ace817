#include "cmd/tend/progress.h"

#include <unistd.h>

#include <chrono>
#include <map>
#include <optional>

#include "core/base/text.h"
#include "core/model/api.h"
#include "ipc/rpc_client.h"

namespace tend::cli {
namespace {

constexpr int kFirst = 500;  // ms until anything is shown: most requests are over by then
constexpr int kEach = 200;   // ms between two looks
constexpr Millis kPatience{1000};

void write_line(const std::string& text) {
  const std::string line = "\r\033[K" + text;
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

Progress::Progress(std::string socket) : socket_(std::move(socket)) {
  if (::isatty(STDERR_FILENO) == 1) thread_ = std::thread([this] { run(); });
}

Progress::~Progress() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

bool Progress::over(int millis) {
  std::unique_lock lock(mutex_);
  return ended_.wait_for(lock, std::chrono::milliseconds(millis), [this] { return end_; });
}

void Progress::run() {
  const auto begin = std::chrono::steady_clock::now();
  std::optional<ipc::RpcClient> client;
  bool shown = false;
  for (int pause = kFirst; !over(pause); pause = kEach) {
    if (!client) {
      auto connected = ipc::RpcClient::connect(socket_);
      if (!connected) continue;  // none yet
      client = std::move(*connected);
    }
    const auto reply = client->call(api::kList, Map{{"detail", "brief"}, {"cwd", "/"}}, kPatience);
    if (!reply) {
      client.reset();
      continue;
    }
    std::map<std::string, int> counts;
    for (const Value& row : reply->at("apps").list()) ++counts[printable(row.at("status").text())];
    std::string text;
    for (const auto& [status, count] : counts)
      text += (text.empty() ? "" : ", ") + status + " " + std::to_string(count);
    const auto elapsed =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin);
    write_line(text + " · " + std::to_string(elapsed.count()) + " s");
    shown = true;
  }
  if (shown) write_line("");
}

}  // namespace tend::cli
