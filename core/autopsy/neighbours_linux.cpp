#include "core/autopsy/neighbours_linux.h"

#include <dirent.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "core/autopsy/listeners_linux.h"
#include "core/autopsy/proc_linux.h"
#include "core/base/text.h"

namespace tend::autopsy {

bool only_owner_and_root(uid_t uid) {
  const auto known = [&](int64_t who) { return who == 0 || who == static_cast<int64_t>(uid); };
  // With hidepid an unprivileged user sees nobody else; then pid 1, root's or not, is the first that is
  // missing.
  if (!status_of(1)) return false;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc"), ::closedir);
  if (!folder) return false;
  while (const dirent* entry = ::readdir(folder.get())) {
    if (!is_digits(entry->d_name)) continue;
    // The folder's own uid would be shorter, but it is root's for each process that may not be dumped.
    const auto status = status_of(std::atoi(entry->d_name));
    if (status && !known(status->uid)) return false;
  }
  for (const Socket& socket : listening_sockets(::getpid()))
    if (!known(socket.uid)) return false;
  return true;
}

}  // namespace tend::autopsy
