#include "core/model/probe_target.h"

#include <doctest/doctest.h>

#include <string>

namespace tend {
namespace {

using Kind = ProbeTarget::Kind;

TEST_CASE("a probe of http keeps its URL, and {port} is found anywhere in it") {
  for (const char* url : {"http://127.0.0.1:80/health", "https://example.org", "http://[::1]:8080/x?y=1",
                          "http://localhost/", "http://a_b.internal:1?deep"}) {
    CAPTURE(url);
    const auto target = parse_probe(url);
    REQUIRE(target);
    CHECK(target->kind == Kind::http);
    CHECK(target->url == url);
    CHECK_FALSE(target->needs_port);
  }
  CHECK(parse_probe("http://127.0.0.1:{port}/health")->needs_port);
  CHECK(parse_probe("http://127.0.0.1:80/of/{port}")->needs_port);
}

TEST_CASE("a probe of tcp has a host without brackets and a port") {
  struct Row {
    const char* text;
    const char* host;
    uint16_t port;
  };
  for (const Row& row : {Row{"tcp://127.0.0.1:5432", "127.0.0.1", 5432}, Row{"tcp://[::1]:1", "::1", 1},
                         Row{"tcp://db.internal:65535", "db.internal", 65535}, Row{"tcp://h:1/", "h", 1},
                         Row{"tcp://h:{port}", "h", 0}, Row{"tcp://[fe80::1]:{port}", "fe80::1", 0}}) {
    CAPTURE(row.text);
    const auto target = parse_probe(row.text);
    REQUIRE(target);
    CHECK(target->kind == Kind::tcp);
    CHECK(target->host == row.host);
    CHECK(target->port == row.port);
    CHECK(target->needs_port == (row.port == 0));
  }
}

TEST_CASE("a probe of exec is split into words, quotes kept together") {
  const auto target = parse_probe("exec:sh -c 'test -f /tmp/x' {port}");
  REQUIRE(target);
  CHECK(target->kind == Kind::exec);
  CHECK(target->argv == StringList{"sh", "-c", "test -f /tmp/x", "{port}"});
  CHECK(target->needs_port);
  CHECK(parse_probe("exec: pg_isready ")->argv == StringList{"pg_isready"});
}

TEST_CASE("what is no probe is refused in one line with what is accepted") {
  for (const std::string& text : {std::string(),
                                  std::string("127.0.0.1:80"),
                                  std::string("ftp://h/"),
                                  std::string("HTTP://h/"),
                                  std::string("http://"),
                                  std::string("http:///x"),
                                  std::string("http://h:0/"),
                                  std::string("http://h:65536/"),
                                  std::string("http://h:x/"),
                                  std::string("http://h:/"),
                                  std::string("http://[::1/"),
                                  std::string("http://[]:1/"),
                                  std::string("http://[::1]80/"),
                                  std::string("http://h:{ports}/"),
                                  std::string("http://h/a b"),
                                  std::string("http://h/\n"),
                                  std::string("http://u:p@h/"),
                                  std::string("tcp://h"),
                                  std::string("tcp://:80"),
                                  std::string("tcp://h:"),
                                  std::string("tcp://::1:80"),
                                  std::string("tcp://h:1/x"),
                                  std::string("tcp://{port}"),
                                  std::string("exec:"),
                                  std::string("exec:  "),
                                  std::string("exec:''"),
                                  std::string("exec:a\0b", 8),
                                  "http://h/" + std::string(9000, 'x')}) {
    CAPTURE(text);
    const auto target = parse_probe(text);
    REQUIRE_FALSE(target);
    CHECK(target.error().message.find("accepted") != std::string::npos);
    CHECK(target.error().message.find('\n') == std::string::npos);
    CHECK(target.error().message.size() < 500);
  }
}

TEST_CASE(
    "the port goes into every place of {port}, and its absence is an error only where it is asked for") {
  CHECK(with_port(*parse_probe("http://h:{port}/{port}"), 8080)->url == "http://h:8080/8080");
  CHECK(with_port(*parse_probe("tcp://[::1]:{port}"), 80)->port == 80);
  CHECK(with_port(*parse_probe("exec:check {port} --url=x:{port}"), 9)->argv ==
        StringList{"check", "9", "--url=x:9"});
  CHECK_FALSE(with_port(*parse_probe("exec:check {port}"), 9)->needs_port);
  CHECK(with_port(*parse_probe("http://h/"), {})->url == "http://h/");
  for (const auto port : {std::optional<uint16_t>(), std::optional<uint16_t>(uint16_t{0})}) {
    const auto missing = with_port(*parse_probe("tcp://h:{port}"), port);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().message.find("{port}") != std::string::npos);
  }
}

TEST_CASE("accepted statuses are numbers and ranges with commas") {
  CHECK(parse_probe_status("200") == std::vector<StatusRange>{{200, 200}});
  CHECK(parse_probe_status("200-399") == std::vector<StatusRange>{{200, 399}});
  CHECK(parse_probe_status("200, 204 - 206,404") ==
        std::vector<StatusRange>{{200, 200}, {204, 206}, {404, 404}});
  CHECK(parse_probe_status(AppSpec{}.probe_status));
  for (const std::string& text :
       {std::string(), std::string("ok"), std::string("99"), std::string("600"), std::string("300-200"),
        std::string("200-"), std::string("-200"), std::string("200,"), std::string("2e2"),
        std::string("200-300-400"), std::string("99999999999999999999"), std::string(200, ',')}) {
    CAPTURE(text);
    const auto ranges = parse_probe_status(text);
    REQUIRE_FALSE(ranges);
    CHECK(ranges.error().message.find("accepted") != std::string::npos);
  }
  std::string many = "200";
  for (int i = 1; i < 32; ++i) many += ",200";
  CHECK(parse_probe_status(many));
  CHECK_FALSE(parse_probe_status(many + ",200"));
}

TEST_CASE("a status is accepted within a range, ends included") {
  const auto ranges = *parse_probe_status("200-299,404");
  CHECK(accepts_status(ranges, 200));
  CHECK(accepts_status(ranges, 299));
  CHECK(accepts_status(ranges, 404));
  CHECK_FALSE(accepts_status(ranges, 300));
  CHECK_FALSE(accepts_status({}, 200));
}

}  // namespace
}  // namespace tend
