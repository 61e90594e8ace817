#include "core/base/own_program.h"

#include <sys/auxv.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

namespace tend {
namespace {

constexpr char kLink[] = "/proc/self/exe";

std::string target_of(const char* link) {
  char path[PATH_MAX];
  const ssize_t n = readlink(link, path, sizeof path);
  return n > 0 ? std::string(path, static_cast<std::size_t>(n)) : std::string();
}

}  // namespace

std::string own_program() {
  if (access(kLink, X_OK) == 0) return kLink;
  const auto* executed = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  char path[PATH_MAX];
  return executed != nullptr && realpath(executed, path) != nullptr ? path : "";
}

std::string path_of_own_program() {
  std::string path = target_of(kLink);  // not by the number, which another /proc may not know
  return path.empty() ? own_program() : path;
}

std::string path_of_program(pid_t pid) {
  return target_of(("/proc/" + std::to_string(pid) + "/exe").c_str());
}

}  // namespace tend
