#include "core/autopsy/wire.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace tend::autopsy;

namespace {

std::string server_frame(std::string_view payload, unsigned first = 0x81) {
  std::string out(1, static_cast<char>(first));
  const std::size_t n = payload.size();
  if (n < 126) {
    out += static_cast<char>(n);
  } else if (n < 0x10000) {
    out += {126, static_cast<char>(n >> 8), static_cast<char>(n & 0xff)};
  } else {
    out += 127;
    for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(n >> shift & 0xff);
  }
  return out.append(payload);
}

struct Inbox {
  MessageReader reader;
  std::vector<std::pair<std::string, bool>> got;
  bool feed(std::string_view bytes) {
    return reader.feed(bytes, [this](std::string_view m, bool whole) { got.emplace_back(m, whole); });
  }
};

}  // namespace

TEST_CASE("an answer is done with its last byte, and says what was used") {
  const std::string text = "HTTP/1.0 200 OK\r\nContent-Type: x\r\ncontent-LENGTH: 3\r\n\r\nabcrest";
  HttpAnswer a;
  for (std::size_t n = 0; n < text.size() - 4; ++n) {
    CAPTURE(n);
    CHECK(parse_http(text.substr(0, n), a) == Parse::more);
  }
  REQUIRE(parse_http(text, a) == Parse::done);
  CHECK(a.status == 200);
  CHECK(a.body == "abc");
  CHECK(text.substr(a.used) == "rest");
}

TEST_CASE("an upgrade has no body") {
  HttpAnswer a;
  REQUIRE(parse_http("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x01x", a) ==
          Parse::done);
  CHECK(a.status == 101);
  CHECK(a.body.empty());
}

TEST_CASE("lengths beyond the bounds and other protocols are refused") {
  HttpAnswer a;
  CHECK(parse_http("HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n", a) == Parse::bad);
  CHECK(parse_http("HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n", a) == Parse::more);
  CHECK(parse_http("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", a) == Parse::bad);
  CHECK(parse_http("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", a) == Parse::bad);
  CHECK(parse_http("HTTP/1.1 xyz OK\r\n\r\n", a) == Parse::bad);
  CHECK(parse_http("SSH-2.0-OpenSSH\r\n\r\n", a) == Parse::bad);
  CHECK(parse_http("\r\n\r\n", a) == Parse::bad);
  CHECK(parse_http(std::string(20'000, 'a'), a) == Parse::bad);
}

TEST_CASE("a client's frame is final, text and masked") {
  CHECK(text_frame("ab") == std::string("\x81\x82\0\0\0\0ab", 8));
  const std::string longer = text_frame(std::string(300, 'x'));
  CHECK(longer.substr(0, 8) == std::string("\x81\xfe\x01\x2c\0\0\0\0", 8));
  CHECK(longer.size() == 308);
}

TEST_CASE("messages arrive whole however the stream is cut") {
  const std::vector<std::string> sent = {"", "a", std::string(125, 'b'), std::string(126, 'c'),
                                         std::string(70'000, 'd')};
  std::string stream;
  for (const auto& one : sent) stream += server_frame(one);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{1000}, stream.size()}) {
    CAPTURE(piece);
    Inbox in;
    for (std::size_t at = 0; at < stream.size(); at += piece) REQUIRE(in.feed(stream.substr(at, piece)));
    REQUIRE(in.got.size() == sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
      CHECK(in.got[i].first == sent[i]);
      CHECK(in.got[i].second);
    }
  }
}

TEST_CASE("fragments are one message, and a ping between them is none") {
  Inbox in;
  CHECK(in.feed(server_frame("ab", 0x01) + server_frame("ping", 0x89) + server_frame("cd", 0x80)));
  REQUIRE(in.got.size() == 1);
  CHECK(in.got[0].first == "abcd");
}

TEST_CASE("of an oversize message the head is kept, and the next one is not disturbed") {
  Inbox in;
  CHECK(in.feed(server_frame(std::string(MessageReader::kMostKept + 1, 'x')) + server_frame("next") +
                server_frame(std::string(MessageReader::kMostKept, 'y'))));
  REQUIRE(in.got.size() == 3);
  CHECK(in.got[0].first.size() == MessageReader::kMostKept);
  CHECK_FALSE(in.got[0].second);
  CHECK(in.got[1] == std::pair<std::string, bool>("next", true));
  CHECK(in.got[2].second);
}

TEST_CASE("a close frame, a mask, reserved bits and impossible lengths end the stream") {
  CHECK_FALSE(Inbox().feed(server_frame("", 0x88)));
  CHECK_FALSE(Inbox().feed(std::string("\x81\x81\0\0\0\0x", 7)));
  CHECK_FALSE(Inbox().feed(server_frame("x", 0xc1)));
  CHECK_FALSE(Inbox().feed(std::string("\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10)));
  CHECK_FALSE(Inbox().feed(std::string("\x81\x7f\0\0\0\0\x04\0\0\x01", 10)));
  CHECK(Inbox().feed(std::string("\x81\x7f\0\0\0\0\x04\0\0\0", 10)));
}

TEST_CASE("the stream as a whole is bounded") {
  Inbox in;
  const std::string block = server_frame(std::string(1u << 20, 'x'));
  bool open = true;
  int fed = 0;
  for (; open && fed < 100; ++fed) open = in.feed(block);
  CHECK_FALSE(open);
  CHECK(fed <= 64);
}
