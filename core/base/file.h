// Files replaced whole: written beside, then renamed over, so that a reader finds the old text or the new
// one. Block.
#pragma once

#include <sys/types.h>

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
// All of the above: the file is the new text or stays as it was. `synced`: it is on the disk before the
// rename.
Status replace_file(const std::string& path, std::string_view text, mode_t mode = 0600, bool synced = false);
// A regular file of at most `limit` bytes; `also`: further flags of open(2). Error: errno, ENOENT when there
// is none; EFBIG; EINVAL when it is no regular file.
Result<std::string> read_file(const std::string& path, std::size_t limit = 1u << 20, int also = 0);

}  // namespace tend
