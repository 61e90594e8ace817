#include "ipc/notify_message.h"

#include <algorithm>
#include <charconv>

namespace tend::ipc {
namespace {

bool is_key(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= 'A' && c <= 'Z') || c == '_'; });
}

bool is_control(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u < 0x20 || u == 0x7f;
}

// Bytes of the character that `text` begins with and its number; 0 bytes: it is no UTF-8 (RFC 3629).
struct Character {
  std::size_t size = 0;
  uint32_t number = 0;
};

Character first_of(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {1, lead};
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {};
  uint32_t number = lead & (0xffu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0u) != 0x80u) return {};
    number = number << 6 | (byte(i) & 0x3fu);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = number >= 0xd800 && number <= 0xdfff;
  if (number < kLeast[size] || number > 0x10ffff || surrogate) return {};
  return {size, number};
}

}  // namespace

std::optional<std::string_view> NotifyMessage::find(std::string_view key) const {
  const auto* line = std::find_if(begin(), end(), [&](const NotifyLine& l) { return l.key == key; });
  if (line == end()) return std::nullopt;
  return line->value;
}

std::optional<NotifyMessage> parse_notify(std::string_view datagram) {
  if (datagram.size() > kMaxNotifySize) return std::nullopt;
  NotifyMessage message;
  while (!datagram.empty()) {
    const auto newline = datagram.find('\n');
    const std::string_view line = datagram.substr(0, newline);
    datagram.remove_prefix(newline == std::string_view::npos ? datagram.size() : newline + 1);
    const auto equals = line.find('=');
    if (equals == std::string_view::npos || !is_key(line.substr(0, equals))) continue;
    const NotifyLine found{line.substr(0, equals), line.substr(equals + 1)};
    const bool raw = found.key == "STATUS";
    if (!raw && std::any_of(found.value.begin(), found.value.end(), is_control)) continue;
    if (message.count_ == kMaxNotifyLines) return std::nullopt;
    message.lines_[message.count_++] = found;
  }
  return message;
}

std::string notify_text(std::string_view value) {
  std::string text;
  while (!value.empty()) {
    const Character c = first_of(value);
    std::string_view shown = value.substr(0, c.size);
    if (c.size == 0) shown = "\xef\xbf\xbd";
    if (c.size > 0 && (c.number < 0x20 || (c.number >= 0x7f && c.number < 0xa0))) shown = " ";
    if (text.size() + shown.size() > kMaxNotifyText) break;
    text += shown;
    value.remove_prefix(std::max<std::size_t>(c.size, 1));
  }
  return text;
}

std::optional<uint64_t> notify_number(std::string_view value, uint64_t most) {
  uint64_t number = 0;
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc() || stop != end || number > most) return std::nullopt;
  return number;
}

bool is_fd_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxFdName &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~' && c != ':'; });
}

}  // namespace tend::ipc
