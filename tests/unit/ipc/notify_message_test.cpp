#include "ipc/notify_message.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace tend::ipc;

namespace {

std::vector<std::pair<std::string, std::string>> lines(std::string_view datagram) {
  std::vector<std::pair<std::string, std::string>> found;
  const auto message = parse_notify(datagram);
  REQUIRE(message);
  for (const auto& [key, value] : *message) found.emplace_back(key, value);
  return found;
}

}  // namespace

TEST_CASE("each line is a key and its value; what is none is passed over") {
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"STATUS", "up = fine"}, {"READY", "1"}, {"X_EMPTY", ""}};
  CHECK(lines("STATUS=up = fine\nREADY=1\n\nnothing\n=\nready=1\nA B=1\nX_EMPTY=") == expected);
  CHECK(lines("").empty());
}

TEST_CASE("a control character spoils its line, but for STATUS, whose text is made fit to be shown") {
  constexpr char kBytes[] = "FDNAME=a\tb\nMAINPID=1\0002\nSTATUS=a\tb\nREADY=1\x7f";
  const std::string datagram(kBytes, sizeof kBytes - 1);
  const auto message = parse_notify(datagram);
  REQUIRE(message);
  CHECK(!message->find("FDNAME"));
  CHECK(!message->find("MAINPID"));
  CHECK(!message->find("READY"));
  CHECK(message->says("STATUS", "a\tb"));
}

TEST_CASE("64 lines are a message and 65 are none; 8 KiB are one and a byte more is none") {
  std::string many;
  for (int i = 0; i < 64; ++i) many += "A=1\n";
  CHECK(lines(many).size() == 64);
  CHECK(!parse_notify(many + "A=1"));
  const std::string full = "STATUS=" + std::string(kMaxNotifySize - 7, 'x');
  CHECK(parse_notify(full));
  CHECK(!parse_notify(full + "x"));
}

TEST_CASE("of two lines with one key the first counts") {
  const auto message = parse_notify("FDNAME=a\nFDNAME=b");
  REQUIRE(message);
  CHECK(message->says("FDNAME", "a"));
  CHECK(!message->says("OTHER", ""));
}

TEST_CASE("a text holds no byte that a terminal would obey and is UTF-8") {
  CHECK(notify_text("naïve €") == "naïve €");
  CHECK(notify_text("\x1b[31mred\x07") == " [31mred ");
  CHECK(notify_text("\xc2\x9b"
                    "31m") == " 31m");
  CHECK(notify_text("\xff|\xc3|\xed\xa0\x80") == "\uFFFD|\uFFFD|\uFFFD\uFFFD\uFFFD");
}

TEST_CASE("a long text is cut between two characters") {
  std::string euros;
  for (int i = 0; i < 400; ++i) euros += "€";
  CHECK(notify_text(euros).size() == 510);
  CHECK(notify_text(std::string(600, 'x')).size() == kMaxNotifyText);
}

TEST_CASE("a number is decimal digits within its bounds") {
  CHECK(notify_number("0", 9) == 0);
  CHECK(notify_number("18446744073709551615", UINT64_MAX) == UINT64_MAX);
  CHECK(notify_number("10", 10) == 10);
  for (const char* bad : {"", "11", "-1", "+1", " 1", "1 ", "0x1", "1.0", "18446744073709551616"}) {
    CAPTURE(bad);
    CHECK(!notify_number(bad, 10));
  }
}

TEST_CASE("a descriptor's name has no colon, no control character and at most 255 bytes") {
  CHECK(is_fd_name("a/b-1 x"));
  CHECK(is_fd_name(std::string(255, 'x')));
  for (const std::string& bad : {std::string(), std::string(256, 'x'), std::string("a:b"), std::string("a\n"),
                                 std::string("\xc3\xa4")}) {
    CAPTURE(bad);
    CHECK(!is_fd_name(bad));
  }
}
