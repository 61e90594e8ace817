#include "core/keeper/spawn_blob.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>

namespace tend::keeper {
namespace {

bool add(std::string& blob, std::string_view s) {
  if (s.find('\0') != std::string_view::npos || blob.size() + s.size() >= kMaxBlob) return false;
  blob.append(s).push_back('\0');
  return true;
}

}  // namespace

Result<UniqueFd> make_blob(const SpawnRequest& request) {
  SpawnBlobHead head;
  if (request.groups.size() > std::size(head.groups)) {
    return fail("too many supplementary groups: " + std::to_string(request.groups.size()) + ", accepted 64",
                EINVAL);
  }
  std::string blob(sizeof head, '\0');
  bool good = add(blob, request.path) && add(blob, request.cwd);
  for (const std::string& s : request.argv) good = good && add(blob, s);
  for (const std::string& s : request.env) {
    good = good && add(blob, s);
    for (size_t i = 0; i < std::size(kOwnPid); ++i) {
      if (s.starts_with(kOwnPid[i])) head.own_pid |= 1u << i;
    }
  }
  if (!good) return fail("arguments and environment: more than 8 MiB, or a NUL byte inside", E2BIG);
  if (request.extras.any()) {
    head.extras = static_cast<uint32_t>(blob.size());
    blob.append(reinterpret_cast<const char*>(&request.extras), sizeof request.extras);
  }
  head.size = static_cast<uint32_t>(blob.size());
  head.argc = static_cast<uint32_t>(request.argv.size());
  head.envc = static_cast<uint32_t>(request.env.size());
  head.group_count = static_cast<uint32_t>(request.groups.size());
  std::copy(request.groups.begin(), request.groups.end(), head.groups);
  head.uid = request.uid;
  head.gid = request.gid;
  head.umask = request.umask;
  head.nice = request.nice;
  head.nofile = request.nofile;
  std::memcpy(blob.data(), &head, sizeof head);

  UniqueFd fd(memfd_create("tend-spawn", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return fail_errno("memfd_create");
  for (size_t done = 0; done < blob.size();) {
    const ssize_t n = write(fd.get(), blob.data() + done, blob.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail_errno("write to a memfd");
    done += static_cast<size_t>(n);
  }
  if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return fail_errno("seal a memfd");
  }
  return fd;
}

}  // namespace tend::keeper
