#include "cmd/pm2/package_version.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/base/unique_fd.h"
#include "ipc/msgpack.h"

namespace tend::pm2 {
namespace {

constexpr std::size_t kMostBytes = 1u << 20;

bool read_text(const std::string& path, std::string& text) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) return false;
  char block[8192];
  ssize_t n = 0;
  while (text.size() < kMostBytes && (n = ::read(fd.get(), block, sizeof block)) > 0)
    text.append(block, static_cast<std::size_t>(n));
  return true;
}

}  // namespace

std::string package_version(const std::string& script) {
  std::string folder = script;
  struct stat st {};
  if (::stat(script.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) folder += "/";  // node runs its index.js
  for (;;) {
    const std::size_t slash = folder.rfind('/');
    if (slash == std::string::npos) return "";
    folder.resize(slash);
    std::string text;
    if (read_text(folder + "/package.json", text)) {
      const auto parsed = ipc::from_json(text);
      return parsed ? parsed->at("version").text() : "";
    }
  }
}

}  // namespace tend::pm2
