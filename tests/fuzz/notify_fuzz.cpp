// The parser of sd_notify's datagrams: what it lets through keeps its promises, whatever came. A broken one
// aborts.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "ipc/notify_message.h"

using namespace tend::ipc;

namespace {

void expect(bool promise) {
  if (!promise) std::abort();
}

bool is_clean(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return c < ' ' && c >= 0; });
}

void text_of(std::string_view value) {
  const std::string text = notify_text(value);
  expect(text.size() <= kMaxNotifyText && is_clean(text));
  expect(notify_text(text) == text);
  // Nothing is lost but what is above the limit: a character of three bytes stands for one.
  expect(value.empty() == text.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string_view datagram(reinterpret_cast<const char*>(data), size);
  const auto message = parse_notify(datagram);
  expect(message || size > kMaxNotifySize ||
         static_cast<std::size_t>(std::count(datagram.begin(), datagram.end(), '\n')) >= kMaxNotifyLines);
  if (!message) return 0;
  expect(message->size() <= kMaxNotifyLines);
  const char* last = datagram.data();
  for (const auto& [key, value] : *message) {
    expect(!key.empty() && key.data() >= last && value.data() == key.data() + key.size() + 1);
    last = value.data() + value.size();
    expect(last <= datagram.data() + size && value.find('\n') == std::string_view::npos);
    expect(message->find(key).has_value());
    expect(key == "STATUS" || is_clean(value));
    text_of(value);
    if (const auto n = notify_number(value, 1u << 20)) {
      expect(*n <= 1u << 20);
      expect(value.find_first_not_of("0123456789") == std::string_view::npos);
    }
    if (is_fd_name(value)) expect(value.size() <= kMaxFdName && value.find(':') == std::string_view::npos);
  }
  text_of(datagram);
  return 0;
}
