// What a request may open: regular files and folders below a root, and nothing else.
#pragma once

#include <sys/stat.h>

#include <string>
#include <tl/expected.hpp>

#include "core/base/unique_fd.h"

namespace tend::serve {

struct Opened {
  UniqueFd fd;
  struct stat st {};
  bool is_folder() const { return S_ISDIR(st.st_mode); }
};

class Tree {
 public:
  virtual ~Tree() = default;
  // `path` is one of clean_path(). Error: errno; EXDEV where a symbolic link leads out of the root.
  virtual tl::expected<Opened, int> open(const std::string& path) const = 0;
};

}  // namespace tend::serve
