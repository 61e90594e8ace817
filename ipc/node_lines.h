// Cuts what was seen in a socket into lines. Pure: says how much of it to consume.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tend::ipc {

inline constexpr std::size_t kMaxNodeLine = 16u << 20;

class NodeLines {
 public:
  struct Step {
    std::size_t consume = 0;               // of what was seen; 0: wait for more
    std::optional<std::string_view> line;  // without \n; valid until the next step, and while `seen` is
  };
  // skip: the front is the rest of a line whose begin is lost.
  explicit NodeLines(std::size_t longest = kMaxNodeLine, bool skip = false)
      : longest_(longest), skipping_(skip) {}

  // `seen`: the front of what is unread. A line that has no end in it stays there, unless `take_partial`:
  // then it is gathered here until its end comes. A line longer than `longest` is skipped.
  Step next(std::string_view seen, bool take_partial);
  bool gathering() const { return skipping_ || !gathered_.empty(); }

 private:
  std::size_t longest_;
  std::string gathered_;
  std::string done_;
  bool skipping_ = false;
};

}  // namespace tend::ipc
