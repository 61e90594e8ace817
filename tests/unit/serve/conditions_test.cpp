#include "cmd/serve/conditions.h"

#include <doctest/doctest.h>

#include "cmd/serve/settings.h"

using namespace tend::serve;

namespace {

const Version kFile{"\"1-2\"", 784111777, 1000};

std::string shown(const RequestHead& head, const Version& version = kFile) {
  const Portion p = portion(head, version);
  return std::to_string(p.status) + " " + std::to_string(p.first) + "+" + std::to_string(p.length);
}

std::string ranged(std::string_view range, std::string_view if_range = "") {
  RequestHead head;
  head.range = range;
  head.if_range = if_range;
  return shown(head);
}

int with(std::string_view RequestHead::*field, std::string_view value) {
  RequestHead head;
  head.*field = value;
  return portion(head, kFile).status;
}

}  // namespace

TEST_CASE("dates are written and read in the form of HTTP, and read in the two old forms") {
  CHECK(http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777);
  CHECK(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT") == 784111777);
  CHECK(parse_http_date("Sun Nov  6 08:49:37 1994") == 784111777);
  for (const char* const bad : {"", "yesterday", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Xyz 1994 08:49:37 GMT",
                                "Sun, 06 Nov 1994 08:49:37 GMT and more"})
    CHECK_MESSAGE(!parse_http_date(bad), bad);
  for (int64_t t = 0; t < 4'000'000'000; t += 123'456'789) CHECK(parse_http_date(http_date(t)) == t);
}

TEST_CASE("who has this version gets 304, and a tag decides before a date") {
  CHECK(with(&RequestHead::if_none_match, "\"1-2\"") == 304);
  CHECK(with(&RequestHead::if_none_match, "\"x\", W/\"1-2\"") == 304);
  CHECK(with(&RequestHead::if_none_match, "*") == 304);
  CHECK(with(&RequestHead::if_none_match, "\"1-3\"") == 200);
  CHECK(with(&RequestHead::if_modified_since, "Sun, 06 Nov 1994 08:49:37 GMT") == 304);
  CHECK(with(&RequestHead::if_modified_since, "Sun, 06 Nov 1994 08:49:36 GMT") == 200);
  CHECK(with(&RequestHead::if_modified_since, "nonsense") == 200);
  RequestHead both;
  both.if_none_match = "\"old\"";
  both.if_modified_since = "Sun, 06 Nov 1994 08:49:37 GMT";
  CHECK(portion(both, kFile).status == 200);
}

TEST_CASE("one range of bytes is cut to the file, none is 416, and what is no range is not there") {
  CHECK(ranged("bytes=0-0") == "206 0+1");
  CHECK(ranged("bytes=10-19") == "206 10+10");
  CHECK(ranged("bytes=990-5000") == "206 990+10");
  CHECK(ranged("bytes=900-") == "206 900+100");
  CHECK(ranged("bytes=-100") == "206 900+100");
  CHECK(ranged("bytes=-5000") == "206 0+1000");
  CHECK(ranged("Bytes = 1-2") == "206 1+2");
  CHECK(ranged("bytes=1000-") == "416 0+0");
  CHECK(ranged("bytes=-0") == "416 1000+0");
  for (const char* const bad : {"bytes=", "bytes=-", "bytes=a-b", "bytes=2-1", "items=0-1", "bytes=0-1,4-5",
                                "bytes=99999999999999999999-", "bytes=+1-2", "0-1"})
    CHECK_MESSAGE(ranged(bad) == "200 0+1000", bad);
  RequestHead head;
  head.range = "bytes=0-";
  CHECK(shown(head, {"\"e\"", 0, 0}) == "416 0+0");
}

TEST_CASE("If-Range wants the very version, else all is sent") {
  CHECK(ranged("bytes=0-0", "\"1-2\"") == "206 0+1");
  CHECK(ranged("bytes=0-0", "W/\"1-2\"") == "200 0+1000");
  CHECK(ranged("bytes=0-0", "\"other\"") == "200 0+1000");
  CHECK(ranged("bytes=0-0", "Sun, 06 Nov 1994 08:49:37 GMT") == "206 0+1");
  CHECK(ranged("bytes=0-0", "Sun, 06 Nov 1994 08:49:38 GMT") == "200 0+1000");
}

TEST_CASE("encodings are taken by name or by star, and refused by a quality of zero") {
  CHECK(accepted_encodings("") == kPlain);
  CHECK(accepted_encodings("gzip, deflate, br") == (kGzip | kBrotli));
  CHECK(accepted_encodings("GZIP;q=0.5") == kGzip);
  CHECK(accepted_encodings("gzip;q=0, br;q=1.0") == kBrotli);
  CHECK(accepted_encodings("gzip; q=0.000") == kPlain);
  CHECK(accepted_encodings("*") == (kGzip | kBrotli));
  CHECK(accepted_encodings("*, br;q=0") == kGzip);
  CHECK(accepted_encodings("*;q=0, gzip") == kGzip);
  CHECK(accepted_encodings("identity") == kPlain);
  CHECK(accepted_encodings(",,;,=q") == kPlain);
}

TEST_CASE("another file, time or size has another tag") {
  const std::string tag = make_etag(1, 2, 3, 4);
  CHECK(tag.front() == '"');
  CHECK(tag.back() == '"');
  for (const std::string& other :
       {make_etag(9, 2, 3, 4), make_etag(1, 9, 3, 4), make_etag(1, 2, 9, 4), make_etag(1, 2, 3, 9)})
    CHECK(other != tag);
}

TEST_CASE("only the very name and password are let in") {
  const std::string right = base64("user:pass");
  CHECK(right == "dXNlcjpwYXNz");
  CHECK(base64("a") == "YQ==");
  CHECK(base64("ab") == "YWI=");
  CHECK(base64("\xff\xfe") == "//4=");
  CHECK(authorized("Basic dXNlcjpwYXNz", right));
  CHECK(authorized("basic   dXNlcjpwYXNz ", right));
  for (const std::string& bad :
       {std::string(), std::string("Basic "), std::string("Basic"), "Basic " + base64("user:pas"),
        "Basic " + base64("user:pass2"), "Bearer " + right, right, "Basic " + right + right})
    CHECK_FALSE(authorized(bad, right));
}
