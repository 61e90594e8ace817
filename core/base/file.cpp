#include "core/base/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace tend {

TemporaryFile::TemporaryFile(const std::string& beside) : name_(beside + ".XXXXXX") {
  fd_.reset(::mkostemp(name_.data(), O_CLOEXEC));
  if (!fd_) name_.clear();
}

TemporaryFile::~TemporaryFile() {
  if (!name_.empty()) ::unlink(name_.c_str());
}

bool TemporaryFile::move_to(const std::string& path) {
  if (::rename(name_.c_str(), path.c_str()) != 0) return false;
  name_.clear();
  return true;
}

Status write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("write");
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace tend
