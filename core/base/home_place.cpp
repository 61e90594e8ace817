#include "core/base/home_place.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/base/unique_fd.h"

namespace tend {
namespace {

constexpr int kLooks = 50;  // at a `sock` that somebody is about to write
constexpr int kPauseMs = 2;

std::string sock_of(const std::string& home) { return home + "/sock"; }

// Nobody else can put anything there.
bool is_private(const std::string& folder, uid_t owner) {
  struct stat st {};
  return lstat(folder.c_str(), &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 077) == 0 &&
         (st.st_uid == geteuid() || (geteuid() == 0 && st.st_uid == owner));
}

// "": `sock` names none.
std::string named_place(const std::string& home) {
  struct stat st {};
  const auto text = read_file(sock_of(home), PATH_MAX, O_NOFOLLOW | O_NONBLOCK);
  if (!text || stat(home.c_str(), &st) != 0) return {};
  std::string place(trim(*text));
  if (!place.starts_with('/') || !is_private(place, st.st_uid)) return {};
  return place;
}

std::string own_name(const std::string& home) {
  char real[PATH_MAX];
  uint64_t h = 14695981039346656037u;
  for (const char c : std::string(realpath(home.c_str(), real) != nullptr ? real : home.c_str()))
    h = (h ^ static_cast<unsigned char>(c)) * 1099511628211u;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(h));
  return text;
}

std::string absolute_variable(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr && *text == '/' ? text : "";
}

Result<std::string> make_folder(const std::string& home) {
  const std::string runtime = absolute_variable("XDG_RUNTIME_DIR"), name = own_name(home);
  struct stat st {};
  if (!runtime.empty() && stat(runtime.c_str(), &st) == 0 && st.st_uid == geteuid()) {
    const std::string place = runtime + "/tend-" + name;
    if ((mkdir(place.c_str(), 0700) == 0 || errno == EEXIST) && is_private(place, geteuid())) return place;
  }
  std::string temporary = absolute_variable("TMPDIR");
  if (temporary.empty()) temporary = "/tmp";
  const std::string place = temporary + "/tend-" + std::to_string(geteuid()) + "-" + name;
  if ((mkdir(place.c_str(), 0700) == 0 || errno == EEXIST) && is_private(place, geteuid())) return place;
  // Somebody else has that name; it is no secret.
  std::string other = temporary + "/tend-" + std::to_string(geteuid()) + "-XXXXXX";
  if (mkdtemp(other.data()) == nullptr) return fail_errno("create " + other);
  return other;
}

}  // namespace

std::string place_of(const std::string& home) {
  const std::string named = named_place(home);
  return named.empty() ? home : named;
}

Result<std::string> make_place(const std::string& home) {
  const std::string sock = sock_of(home);
  for (int look = 0;; ++look) {
    const UniqueFd file(open(sock.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file) {
      const auto place = make_folder(home);
      Status written = place ? write_all(file.get(), *place + "\n") : tl::unexpected<Error>(place.error());
      if (written) return place;
      unlink(sock.c_str());
      return tl::unexpected<Error>(written.error());
    }
    if (errno != EEXIST) return fail_errno("create " + sock);
    if (const std::string named = named_place(home); !named.empty()) return named;
    if (look < kLooks) {
      poll(nullptr, 0, kPauseMs);
      continue;
    }
    // Of a boot before this one, or of another machine.
    const auto place = make_folder(home);
    if (!place) return place;
    if (Status replaced = replace_file(sock, *place + "\n"); !replaced)
      return tl::unexpected<Error>(replaced.error());
    return place;
  }
}

}  // namespace tend
