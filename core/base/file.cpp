#include "core/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "core/base/units.h"

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

Status replace_file(const std::string& path, std::string_view text, mode_t mode, bool synced) {
  TemporaryFile file(path);
  if (file.fd() < 0) return fail_errno("create a file beside " + path);
  if (auto ok = write_all(file.fd(), text); !ok)
    return fail(path + ": " + ok.error().message, ok.error().code);
  if (::fchmod(file.fd(), mode) != 0) return fail_errno("chmod " + path);
  if (synced && ::fsync(file.fd()) != 0) return fail_errno("fsync " + path);
  if (!file.move_to(path)) return fail_errno("rename to " + path);
  return {};
}

Result<std::string> read_file(const std::string& path, std::size_t limit, int also) {
  const UniqueFd fd(
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | also));  // a FIFO must not hold us
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0) return fail_errno(path);
  if (!S_ISREG(st.st_mode)) return fail(path + ": not a regular file", EINVAL);
  std::string text;
  std::array<char, 8192> buffer;
  for (;;) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(path);
    if (n == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(n));
    if (text.size() > limit)
      return fail(path + ": larger than " + show(Bytes{static_cast<int64_t>(limit)}), EFBIG);
  }
}

}  // namespace tend
