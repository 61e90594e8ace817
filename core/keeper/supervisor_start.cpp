#include "core/keeper/supervisor_start.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <utility>

#include "core/base/own_program.h"
#include "core/keeper/heritage.h"
#include "core/keeper/main.h"
#include "core/keeper/spawn_linux.h"
#include "core/keeper/wire.h"

namespace tend::keeper {
namespace {

constexpr int kSocketAt = 3;
constexpr int kListenerAt = 4;
constexpr int kAbove = 5;
constexpr char kEpoch[] = "TEND_EPOCH";

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

// This process' own, with other values of these.
std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>>& changed) {
  std::vector<std::string> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto is_it = [&](const auto& c) { return text.substr(0, text.find('=')) == c.first; };
    if (std::none_of(changed.begin(), changed.end(), is_it)) out.emplace_back(text);
  }
  for (const auto& [name, value] : changed) out.push_back(name + "=" + value);
  return out;
}

std::string hex(uint64_t number) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
  return text;
}

// Returns the pid and our end of the pair; the child has the other one at 3. `listener` may be -1.
Result<Life> execute(const std::string& program, const std::vector<std::string>& arguments,
                     const std::vector<std::string>& environment, int listener, bool new_session) {
  UniqueFd ours, theirs;
  if (!message_pair(ours, theirs)) return fail_errno("socketpair");
  const std::vector<char*> argv = pointers(arguments);
  const std::vector<char*> envp = pointers(environment);
  const pid_t pid = fork();
  if (pid < 0) return fail_errno("fork");
  if (pid > 0) return Life{std::move(ours), pid};

  default_signals();
  if (new_session) setsid();
  const int socket = fcntl(theirs.get(), F_DUPFD_CLOEXEC, kAbove);
  const int rpc = fcntl(listener, F_DUPFD_CLOEXEC, kAbove);
  if (dup3(socket, kSocketAt, 0) < 0 || (listener >= 0 && dup3(rpc, kListenerAt, 0) < 0)) _exit(127);
  close_from(listener >= 0 ? kAbove : kListenerAt, -1);
  empty_signal_mask();
  execve(program.c_str(), argv.data(), envp.data());
  // The file is gone or no program any more: the keeper's own still is one.
  execve(own_program().c_str(), argv.data(), envp.data());
  _exit(127);
}

}  // namespace

SupervisorStart::SupervisorStart(std::string program, const Home& home, uint64_t epoch,
                                 const std::string& heritage, Console console)
    : program_(std::move(program)),
      arguments_{"tend: supervisor", home.dir, home.pm2 ? "pm2" : "tend"},
      environment_(environment_with({{kEpoch, hex(epoch)}, {kHeritageVariable, heritage}})) {
  if (console != Console::none) arguments_.emplace_back(console_word(console));
}

Result<Life> SupervisorStart::start(int listener, bool lost) const {
  auto environment = environment_;
  if (lost) environment.push_back(std::string(kLostHomeVariable) + "=1");
  return execute(program_, arguments_, environment, listener, false);
}

Result<UniqueFd> start_successor(const Home& home, uint64_t epoch, int listener, Console console) {
  auto life = execute(own_program(),
                      {"tend: keeper", home.dir, home.pm2 ? "pm2" : "tend", std::string(kSucceeds),
                       std::string(console_word(console))},
                      environment_with({{kEpoch, hex(epoch)}}), listener, true);
  if (!life) return tl::unexpected<Error>(life.error());
  return std::move(life->socket);
}

}  // namespace tend::keeper
