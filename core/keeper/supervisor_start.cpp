#include "core/keeper/supervisor_start.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "core/keeper/spawn_linux.h"
#include "core/keeper/wire.h"

namespace tend::keeper {
namespace {

constexpr int kSocketAt = 3;
constexpr int kListenerAt = 4;
constexpr int kAbove = 5;
constexpr std::string_view kEpoch = "TEND_EPOCH=";

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

}  // namespace

SupervisorStart::SupervisorStart(std::string program, std::string home, bool pm2, uint64_t epoch,
                                 Console console)
    : program_(std::move(program)), arguments_{"tend: supervisor", std::move(home), pm2 ? "pm2" : "tend"} {
  if (console != Console::none) arguments_.emplace_back(console_word(console));
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with(kEpoch)) environment_.emplace_back(*entry);
  }
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(epoch));
  environment_.push_back(std::string(kEpoch) + hex);
}

Result<Life> SupervisorStart::start(int listener) const {
  UniqueFd ours, theirs;
  if (!message_pair(ours, theirs)) return fail_errno("socketpair");
  const std::vector<char*> argv = pointers(arguments_);
  const std::vector<char*> envp = pointers(environment_);
  const pid_t pid = fork();
  if (pid < 0) return fail_errno("fork");
  if (pid > 0) return Life{std::move(ours), pid};

  default_signals();
  const int socket = fcntl(theirs.get(), F_DUPFD_CLOEXEC, kAbove);
  const int rpc = fcntl(listener, F_DUPFD_CLOEXEC, kAbove);
  if (dup3(socket, kSocketAt, 0) < 0 || (listener >= 0 && dup3(rpc, kListenerAt, 0) < 0)) _exit(127);
  close_from(listener >= 0 ? kAbove : kListenerAt, -1);
  empty_signal_mask();
  execve(program_.c_str(), argv.data(), envp.data());
  // The file is gone or no program any more: the keeper's own still is one.
  execve("/proc/self/exe", argv.data(), envp.data());
  _exit(127);
}

}  // namespace tend::keeper
