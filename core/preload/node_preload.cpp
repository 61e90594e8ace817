#include "core/preload/node_preload.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/file.h"
#include "core/base/unique_fd.h"

namespace tend::preload {
namespace {

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k)
      out += i + k > bytes.size() ? '=' : kDigits[group >> (18 - 6 * k) & 63];
  }
  return out;
}

bool is_written(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  std::string text(node_preload().size() + 1, '\0');
  return fd && ::read(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(node_preload().size()) &&
         std::string_view(text).substr(0, node_preload().size()) == node_preload();
}

}  // namespace

Status write_preload(const std::string& path) {
  if (is_written(path)) return {};
  const std::string folder = path.substr(0, path.rfind('/'));
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno("create " + folder);
  return replace_file(path, node_preload());
}

std::string preload_argument() {
  return "--import=data:text/javascript;tend;base64," +
         base64("import{createRequire}from'node:module';const require=createRequire('file:///');" +
                std::string(node_preload()));
}

}  // namespace tend::preload
