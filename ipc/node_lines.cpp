#include "ipc/node_lines.h"

#include <utility>

namespace tend::ipc {

NodeLines::Step NodeLines::next(std::string_view seen, bool take_partial) {
  done_ = {};
  const auto end = seen.find('\n');
  if (end == seen.npos && !take_partial && !gathering()) return {};
  const std::string_view part = seen.substr(0, end);
  const std::size_t consume = end == seen.npos ? seen.size() : end + 1;
  if (!skipping_ && part.size() > longest_ - gathered_.size()) {
    skipping_ = true;
    gathered_ = {};
  }
  if (end == seen.npos) {
    if (!skipping_) gathered_.append(part);
    return {consume, std::nullopt};
  }
  if (std::exchange(skipping_, false)) return {consume, std::nullopt};
  if (gathered_.empty()) return {consume, part};
  gathered_.append(part);
  done_ = std::exchange(gathered_, {});
  return {consume, done_};
}

}  // namespace tend::ipc
