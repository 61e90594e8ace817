// The last lines of a file, read back from its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/base/result.h"

namespace tend {

struct Tail {
  std::string text;  // whole lines, and at the end perhaps one without its newline
  int64_t end = 0;   // where it ends in the file: following goes on here
  bool bounded =
      false;  // the bound was met before `lines` lines were found; the first line may lack its begin
};

// At most `bound` bytes are read. A last line without a newline counts as one. `end`: the file ends there,
// whatever was written since; -1: where it ends now.
Result<Tail> last_lines(int fd, std::size_t lines, std::size_t bound = 16u << 20, int64_t end = -1);

}  // namespace tend
