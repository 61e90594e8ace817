// Files replaced whole: written beside, then renamed over, so that a reader finds the old text or the new
// one. Block.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace tend {

// A file (0600) that removes itself unless it was renamed away.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& beside);
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile();
  int fd() const { return fd_.get(); }    // -1: it could not be made, errno says why
  bool move_to(const std::string& path);  // false: errno

 private:
  std::string name_;
  UniqueFd fd_;
};

Status write_all(int fd, std::string_view text);
// A regular file of at most `limit` bytes. Error: errno, ENOENT when there is none; EFBIG; EINVAL when it is no file.
Result<std::string> read_file(const std::string& path, std::size_t limit = 1u << 20);

}  // namespace tend
