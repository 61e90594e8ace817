// What the head of a request asks of a file: another version than mine (RFC 9110, 13), a part (14), which
// encoding (12.5.3). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tend::serve {

// Header fields by value; empty: not there.
struct RequestHead {
  std::string_view if_none_match, if_modified_since, if_range, range, accept_encoding, authorization;
};

// Which of its forms a client takes, as bits.
enum Encoding : uint8_t { kPlain = 0, kGzip = 1, kBrotli = 2 };
// q=0 refuses, "*" means those that are not named.
uint8_t accepted_encodings(std::string_view accept_encoding);

// What is known of the file that would be sent.
struct Version {
  std::string etag;      // with quotes, strong
  int64_t modified = 0;  // seconds since the epoch
  uint64_t size = 0;
};

std::string make_etag(uint64_t inode, int64_t seconds, int64_t nanoseconds, uint64_t size);
std::string http_date(int64_t seconds);                         // "Sun, 06 Nov 1994 08:49:37 GMT"
std::optional<int64_t> parse_http_date(std::string_view text);  // that form and the two obsolete ones

struct Portion {
  int status = 200;  // 200 all, 206 part, 304 nothing as it is known, 416 no such part
  uint64_t first = 0, length = 0;
};

// Several parts at once are answered by the whole, which a server may.
Portion portion(const RequestHead& head, const Version& version);

// Whether it says "Basic <credentials>"; takes the same time for every wrong answer of that length.
bool authorized(std::string_view authorization, std::string_view credentials);

}  // namespace tend::serve
