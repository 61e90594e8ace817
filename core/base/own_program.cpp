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

}  // namespace tend
