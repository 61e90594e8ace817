#include "core/base/tail.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace tend {
namespace {

constexpr std::size_t kBlock = 64u << 10;

}  // namespace

Result<Tail> last_lines(int fd, std::size_t lines, std::size_t bound, int64_t end) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return fail_errno("fstat");
  Tail tail;
  tail.end = end < 0 ? st.st_size : std::min<int64_t>(end, st.st_size);
  if (lines == 0 || tail.end == 0) return tail;

  const std::size_t size = static_cast<std::size_t>(tail.end);
  std::size_t at = size, found = 0;
  std::vector<std::string> blocks;  // last first
  while (at > 0 && size - at < bound) {
    std::string block(std::min({kBlock, at, bound - (size - at)}), '\0');
    std::size_t got = 0;
    while (got < block.size()) {
      const ssize_t n =
          ::pread(fd, block.data() + got, block.size() - got, static_cast<off_t>(at - block.size() + got));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail_errno("read");
      if (n == 0)
        return last_lines(fd, lines, bound, end);  // it was truncated meanwhile: what is there now counts
      got += static_cast<std::size_t>(n);
    }
    // The newline that ends the file ends its last line; it begins none.
    std::size_t i = block.size();
    if (at == size && block.back() == '\n') --i;
    for (; i > 0; --i) {
      if (block[i - 1] == '\n' && ++found == lines) break;
    }
    at -= block.size();
    blocks.push_back(block.substr(i));
    if (found == lines) break;
  }
  tail.bounded = found < lines && at > 0;
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) tail.text += *block;
  return tail;
}

}  // namespace tend
