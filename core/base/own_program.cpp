#include "core/base/own_program.h"

#include <sys/auxv.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

namespace tend {

std::string own_program() {
  constexpr char kLink[] = "/proc/self/exe";
  if (access(kLink, X_OK) == 0) return kLink;
  const auto* executed = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  char path[PATH_MAX];
  return executed != nullptr && realpath(executed, path) != nullptr ? path : "";
}

std::string path_of_own_program() {
  std::string path = path_of_program(getpid());
  return path.empty() ? own_program() : path;
}

std::string path_of_program(pid_t pid) {
  char path[PATH_MAX];
  const ssize_t n = readlink(("/proc/" + std::to_string(pid) + "/exe").c_str(), path, sizeof path);
  return n > 0 ? std::string(path, static_cast<std::size_t>(n)) : std::string();
}

}  // namespace tend
