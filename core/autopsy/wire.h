// What is spoken with Node's inspector: an HTTP answer, WebSocket frames (RFC 6455). Pure: bytes in, values
// out. The bytes come from a program that misbehaves, so each length is bounded before it is used.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace tend::autopsy {

struct HttpAnswer {
  int status = 0;
  std::string body;
  std::size_t used = 0;  // bytes of the input; what follows belongs to the next protocol
};
enum class Parse { more, done, bad };
// `text` is all that came so far. A body needs Content-Length (Node's inspector sends it); 101 has none.
Parse parse_http(std::string_view text, HttpAnswer& answer);

// A client's text frame: final, masked with zeros (the mask is against proxies; there is none on loopback).
std::string text_frame(std::string_view payload);

// Cuts a stream into messages. Of each at most kMostKept bytes are kept, the rest is counted and dropped: a
// script with an inline source map of megabytes costs no memory, and the first frames of a deep stack stand
// at the beginning.
class MessageReader {
 public:
  static constexpr std::size_t kMostKept = 1u << 20;
  static constexpr uint64_t kMostInAll = 64u << 20;

  // `message(head, whole)`: the kept bytes, and whether they are all. False: the stream is over (close frame,
  // a frame that breaks the protocol, kMostInAll reached).
  bool feed(std::string_view bytes, const std::function<void(std::string_view, bool)>& message);

 private:
  bool start_frame();

  std::string header_;  // of the frame that is being read
  std::string kept_;    // of the message that is being read
  uint64_t left_ = 0;   // of the frame's payload
  uint64_t in_all_ = 0;
  bool in_payload_ = false;
  bool last_of_message_ = false;
  bool control_ = false;
  bool closing_ = false;
  bool whole_ = true;
};

}  // namespace tend::autopsy
