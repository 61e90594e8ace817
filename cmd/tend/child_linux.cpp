#include "cmd/tend/child_linux.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "core/base/unique_fd.h"

extern char** environ;

namespace tend::cli {
namespace {

constexpr std::size_t kMostOutput = 1 << 20;

Result<pid_t> spawn(const Child& child, int out) {
  std::vector<std::string> words = child.argv, variables = child.env;
  for (char** v = environ; *v != nullptr; ++v) {
    const std::string_view variable(*v);
    const std::string_view name = variable.substr(0, variable.find('=') + 1);
    bool given = false;
    for (const auto& mine : child.env) given = given || std::string_view(mine).starts_with(name);
    if (!given) variables.emplace_back(variable);
  }
  const auto pointers = [](std::vector<std::string>& list) {
    std::vector<char*> p;
    for (auto& word : list) p.push_back(word.data());
    p.push_back(nullptr);
    return p;
  };
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  if (!child.cwd.empty()) ::posix_spawn_file_actions_addchdir_np(&actions, child.cwd.c_str());
  const char* input = !child.input_file.empty() ? child.input_file.c_str() : out >= 0 ? "/dev/null" : nullptr;
  if (input != nullptr) ::posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0);
  if (out >= 0) ::posix_spawn_file_actions_adddup2(&actions, out, 1);
  pid_t pid = 0;
  const int code = ::posix_spawnp(&pid, words[0].c_str(), &actions, nullptr, pointers(words).data(),
                                  pointers(variables).data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (code != 0) return fail_errno(words[0], code);
  return pid;
}

int await(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Result<int> run_child(const Child& child) {
  const auto pid = spawn(child, -1);
  if (!pid) return tl::unexpected(pid.error());
  return await(*pid);
}

Result<Captured> capture_child(const Child& child) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe");
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  const auto pid = spawn(child, write_end.get());
  write_end.reset();
  if (!pid) return tl::unexpected(pid.error());
  Captured captured;
  std::array<char, 8192> buffer;
  for (;;) {
    const ssize_t n = ::read(read_end.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    const std::size_t room = kMostOutput - std::min(kMostOutput, captured.out.size());
    captured.out.append(buffer.data(), std::min(static_cast<std::size_t>(n), room));
  }
  captured.status = await(*pid);
  return captured;
}

}  // namespace tend::cli
