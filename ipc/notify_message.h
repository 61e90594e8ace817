// One datagram of sd_notify(3) taken apart (protocols.md 6). Pure: what is in it is an app's word, and every
// length and number is checked here before anybody acts on it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tend::ipc {

inline constexpr std::size_t kMaxNotifySize = 8192;
inline constexpr std::size_t kMaxNotifyLines = 64;
inline constexpr std::size_t kMaxNotifyText = 512;
inline constexpr std::size_t kMaxFdName = 255;

// Views into the datagram.
struct NotifyLine {
  std::string_view key;    // of A-Z and _, never empty
  std::string_view value;  // without control characters; that of STATUS is raw, for notify_text()
};

class NotifyMessage {
 public:
  const NotifyLine* begin() const { return lines_.data(); }
  const NotifyLine* end() const { return lines_.data() + count_; }
  std::size_t size() const { return count_; }
  std::optional<std::string_view> find(std::string_view key) const;  // the first of that key
  bool says(std::string_view key, std::string_view value) const { return find(key) == value; }

 private:
  friend std::optional<NotifyMessage> parse_notify(std::string_view datagram);
  std::array<NotifyLine, kMaxNotifyLines> lines_;
  std::size_t count_ = 0;
};

// Lines that are no KEY=value are passed over. None: the datagram is too long or has too many lines, so that
// a part of it would be taken for the whole.
std::optional<NotifyMessage> parse_notify(std::string_view datagram);
// A text for people, at most kMaxNotifyText bytes and cut between characters: what is no UTF-8 becomes
// U+FFFD, a control character a blank.
std::string notify_text(std::string_view value);
// Decimal digits only. None: anything else, or above `most`.
std::optional<uint64_t> notify_number(std::string_view value, uint64_t most);
// systemd's rule for FDNAME: 1 to kMaxFdName printable ASCII characters, no colon.
bool is_fd_name(std::string_view name);

}  // namespace tend::ipc
