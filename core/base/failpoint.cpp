#include "core/base/failpoint.h"

#ifdef TEND_FAILPOINTS

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <sstream>
#include <string>

#include "core/base/file.h"

namespace tend {

void failpoint(Failpoint point) {
  const char* path = std::getenv("TEND_FAILPOINT");
  if (path == nullptr) return;
  const auto armed = read_file(path);
  if (!armed) return;
  std::istringstream words(*armed);
  std::string name;
  int passes = 1, lives = 1;
  words >> name;
  if (name != point.name) return;
  if (!(words >> passes >> lives)) lives = 1;
  const bool dies = passes <= 1;
  if (dies && lives <= 1) {
    ::unlink(path);
  } else {
    const int left = dies ? 1 : passes - 1;
    [[maybe_unused]] const Status kept =
        replace_file(path, name + " " + std::to_string(left) + " " + std::to_string(dies ? lives - 1 : lives));
  }
  if (dies) ::kill(::getpid(), SIGKILL);
}

std::span<const std::string_view> failpoints() { return kFailpoints; }

}  // namespace tend

#else

namespace tend {

void failpoint(Failpoint) {}

std::span<const std::string_view> failpoints() { return {}; }

}  // namespace tend

#endif
