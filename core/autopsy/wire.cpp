#include "core/autopsy/wire.h"

#include <algorithm>
#include <charconv>

#include "core/base/text.h"

namespace tend::autopsy {
namespace {

constexpr std::size_t kMostHead = 16 * 1024;
constexpr std::size_t kMostBody = 64 * 1024;

bool same_letters(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return lower(x) == lower(y);
  });
}

}  // namespace

Parse parse_http(std::string_view text, HttpAnswer& answer) {
  const std::size_t end = text.find("\r\n\r\n");
  if (end == std::string_view::npos) return text.size() > kMostHead ? Parse::bad : Parse::more;
  std::string_view head = text.substr(0, end);
  if (head.size() > kMostHead || head.size() < 12 || !head.starts_with("HTTP/1.")) return Parse::bad;
  if (!is_digits(head.substr(9, 3))) return Parse::bad;
  std::from_chars(head.data() + 9, head.data() + 12, answer.status);
  std::size_t length = 0;
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n")) {
    head.remove_prefix(at + 2);
    const std::string_view line = head.substr(0, head.find("\r\n"));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !same_letters(line.substr(0, colon), "content-length")) continue;
    const std::string_view value = trim(line.substr(colon + 1));
    if (!is_digits(value) || value.size() > 9) return Parse::bad;
    std::from_chars(value.data(), value.data() + value.size(), length);
    if (length > kMostBody) return Parse::bad;
  }
  const std::size_t body = end + 4;
  if (text.size() - body < length) return Parse::more;
  answer.body = text.substr(body, length);
  answer.used = body + length;
  return Parse::done;
}

std::string text_frame(std::string_view payload) {
  std::string out("\x81", 1);
  const std::size_t n = std::min<std::size_t>(payload.size(), 0xffff);
  if (n < 126) {
    out += static_cast<char>(0x80 | n);
  } else {
    out += static_cast<char>(0x80 | 126);
    out += static_cast<char>(n >> 8);
    out += static_cast<char>(n & 0xff);
  }
  out.append(4, '\0');
  return out.append(payload.substr(0, n));
}

// Reads the header's bytes once they are all there. False: a frame that no server may send.
bool MessageReader::start_frame() {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(header_[i]); };
  const unsigned opcode = byte(0) & 0x0f;
  const unsigned short_length = byte(1) & 0x7f;
  if ((byte(0) & 0x70) != 0 || (byte(1) & 0x80) != 0) return false;  // extensions; a server never masks
  left_ = short_length;
  if (short_length >= 126) {
    left_ = 0;
    for (std::size_t i = 2; i < header_.size(); ++i) left_ = left_ << 8 | byte(i);
  }
  control_ = (opcode & 8) != 0;
  closing_ = opcode == 8;
  last_of_message_ = (byte(0) & 0x80) != 0;
  in_payload_ = true;
  header_.clear();
  return left_ <= kMostInAll;
}

bool MessageReader::feed(std::string_view bytes, const std::function<void(std::string_view, bool)>& message) {
  in_all_ += bytes.size();
  if (in_all_ > kMostInAll) return false;
  for (;;) {
    if (!in_payload_) {
      std::size_t need = 2;
      if (header_.size() >= 2) {
        const int code = header_[1] & 0x7f;
        need = code == 127 ? 10 : code == 126 ? 4 : 2;
      }
      const std::size_t take = std::min(bytes.size(), need - std::min(need, header_.size()));
      header_.append(bytes.substr(0, take));
      bytes.remove_prefix(take);
      if (header_.size() < need) return true;
      if (need == 2 && (header_[1] & 0x7f) >= 126) continue;  // the length follows
      if (!start_frame()) return false;
    }
    const auto take = static_cast<std::size_t>(std::min<uint64_t>(left_, bytes.size()));
    if (!control_) {
      const std::size_t room = kMostKept - std::min(kMostKept, kept_.size());
      kept_.append(bytes.substr(0, std::min(take, room)));
      if (take > room) whole_ = false;
    }
    bytes.remove_prefix(take);
    left_ -= take;
    if (left_ > 0) return true;
    in_payload_ = false;
    if (closing_) return false;
    if (control_ || !last_of_message_) continue;
    message(kept_, whole_);
    kept_.clear();
    whole_ = true;
  }
}

}  // namespace tend::autopsy
