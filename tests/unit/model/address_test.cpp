#include "core/model/address.h"

#include <doctest/doctest.h>

#include <string>

namespace tend {
namespace {

TEST_CASE("addresses in the words of a file, and back") {
  struct Row {
    const char* text;
    const char* canonical;
  };
  for (const Row& row :
       {Row{"tcp://0.0.0.0:8000", "tcp://0.0.0.0:8000"}, Row{"tcp://[::1]:80", "tcp://[::1]:80"},
        Row{"tcp://:80", "tcp://:80"}, Row{"tcp://*:80", "tcp://:80"}, Row{"8000", "tcp://:8000"},
        Row{"127.0.0.1:1", "tcp://127.0.0.1:1"}, Row{"localhost:1", "tcp://127.0.0.1:1"},
        Row{"udp://10.0.0.1:53", "udp://10.0.0.1:53"}, Row{"unix:/run/x.sock", "unix:/run/x.sock"},
        Row{"unix:///run/x.sock", "unix:/run/x.sock"}, Row{"unix:@name", "unix:@name"}}) {
    CAPTURE(row.text);
    const auto address = parse_listen(row.text);
    REQUIRE(address);
    CHECK(to_text(*address) == row.canonical);
    CHECK(parse_listen(to_text(*address)) == *address);
  }
  CHECK(parse_listen("unix:@name")->path == std::string("\0name", 5));
}

TEST_CASE("what is no address is refused with what is accepted") {
  for (const std::string& text :
       {std::string(), std::string("tcp://"), std::string("tcp://host"), std::string("tcp://example.org:80"),
        std::string("tcp://1.2.3.4:65536"), std::string("tcp://1.2.3.4:-1"), std::string("::1:80"),
        std::string("http://1.2.3.4:80"), std::string("unix:"), std::string("unix:relative"),
        std::string("tcp://[::1:80"), std::string("80 "), "unix:/" + std::string(108, 'x')}) {
    CAPTURE(text);
    const auto address = parse_listen(text);
    REQUIRE_FALSE(address);
    CHECK(address.error().message.find("accepted") != std::string::npos);
  }
}

}  // namespace
}  // namespace tend
