#include "core/supervisor/identity_linux.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdlib>

#include "core/base/text.h"
#include "core/base/unique_fd.h"

namespace tend::supervisor {
namespace {

constexpr std::size_t kMaxAnswer = 64 * 1024;

std::string read_all(int fd) {
  std::string out;
  char piece[4096];
  pollfd p{fd, POLLIN, 0};
  while (out.size() < kMaxAnswer && poll(&p, 1, 5000) > 0) {
    const ssize_t n = read(fd, piece, sizeof piece);
    if (n <= 0) break;
    out.append(piece, static_cast<std::size_t>(n));
  }
  return out;
}

// One line of `getent <database> <key>`, "" when there is none.
std::string getent(const char* database, const std::string& key) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {};
  UniqueFd in(ends[0]);
  UniqueFd out(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out.get(), 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  const char* argv[] = {"getent", "--", database, key.c_str(), nullptr};
  const char* envp[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", nullptr};
  pid_t pid = 0;
  const int error =
      posix_spawnp(&pid, "getent", &actions, &attributes, const_cast<char**>(argv), const_cast<char**>(envp));
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return {};
  out.reset();
  std::string answer = read_all(in.get());
  kill(pid, SIGKILL);  // a no-op for one that ended; a directory server that hangs must not keep the thread
  waitpid(pid, nullptr, 0);
  return std::string(trim(answer));
}

Result<std::vector<std::string>> fields(const char* database, const char* what, const std::string& key,
                                        std::size_t least) {
  auto parts = split(getent(database, key), ':');
  if (parts.size() < least || !is_digits(parts[2]))
    return fail(std::string(what) + " " + printable(key) + " cannot be found");
  return parts;
}

int32_t number(const std::string& digits) {
  return static_cast<int32_t>(std::strtol(digits.c_str(), nullptr, 10));
}

}  // namespace

Result<Identity> resolve_identity(const std::string& uid, const std::string& gid) {
  Identity who;
  if (uid.empty() && gid.empty()) return who;
  if (geteuid() != 0) return fail("To use --uid and --gid please run as root");
  std::string user;
  if (!uid.empty()) {
    auto entry = fields("passwd", "User", uid, 6);
    if (entry) {
      user = (*entry)[0];
      who.uid = number((*entry)[2]);
      who.gid = number((*entry)[3]);
      who.home = (*entry)[5];
    } else if (is_digits(uid)) {
      who.uid = number(uid);
      who.gid = who.uid;
    } else {
      return tl::unexpected(entry.error());
    }
  }
  if (!gid.empty()) {
    auto entry = fields("group", "Group", gid, 3);
    if (!entry && !is_digits(gid)) return tl::unexpected(entry.error());
    who.gid = number(entry ? (*entry)[2] : gid);
  }
  who.groups.push_back(static_cast<uint32_t>(who.gid));
  if (!user.empty()) {  // "user  4 24 27": every group of the user, as initgroups(3)
    for (const std::string& word : split(getent("initgroups", user), ' ')) {
      if (is_digits(word) && who.groups.size() < 64)
        who.groups.push_back(static_cast<uint32_t>(number(word)));
    }
  }
  return who;
}

}  // namespace tend::supervisor
