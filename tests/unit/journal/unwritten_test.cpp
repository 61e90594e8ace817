#include "core/journal/unwritten.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace tend::journal {
namespace {

Record record(uint32_t id, const std::string& text) { return {id, Value(Map{{"text", text}})}; }

// As a successor sees it: through another descriptor of the same memory.
std::vector<Record> seen(const Unwritten& by) {
  auto other = Unwritten::adopt(UniqueFd(::fcntl(by.fd(), F_DUPFD_CLOEXEC, 0)));
  REQUIRE(other.has_value());
  return other->records();
}

}  // namespace

TEST_CASE("a successor finds in order what was put and not cleared") {
  auto made = Unwritten::create();
  REQUIRE(made.has_value());
  CHECK(seen(*made).empty());
  const Record first[] = {record(1, "a"), {2, Value()}};
  made->put(first);
  const Record second[] = {record(1, "b")};
  made->put(second);
  const auto found = seen(*made);
  REQUIRE(found.size() == 3);
  CHECK(found[0].id == 1);
  CHECK(found[0].body.at("text").text() == "a");
  CHECK(found[1].id == 2);
  CHECK(found[1].body.is_null());
  CHECK(found[2].body.at("text").text() == "b");
  made->clear();
  CHECK(seen(*made).empty());
  made->put(second);
  CHECK(seen(*made).size() == 1);
}

TEST_CASE("what has no room takes the rest along until it is cleared, and its pages go back") {
  auto made = Unwritten::create();
  REQUIRE(made.has_value());
  const Record large[] = {record(1, std::string(400'000, 'x'))};
  made->put(large);
  made->put(large);
  CHECK(seen(*made).size() == 2);
  made->put(large);
  CHECK(seen(*made).empty());
  const Record small[] = {record(2, "a")};
  made->put(small);
  CHECK(seen(*made).empty());
  made->clear();
  made->put(small);
  CHECK(seen(*made).size() == 1);
  struct stat info {};
  REQUIRE(::fstat(made->fd(), &info) == 0);
  CHECK(info.st_blocks * 512 <= 128 << 10);
}

TEST_CASE("other memory is refused") {
  CHECK_FALSE(Unwritten::adopt(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC))).has_value());
  auto made = Unwritten::create();
  REQUIRE(made.has_value());
  const uint64_t wrong = 1;
  REQUIRE(::pwrite(made->fd(), &wrong, sizeof wrong, 0) == sizeof wrong);
  CHECK_FALSE(Unwritten::adopt(UniqueFd(::fcntl(made->fd(), F_DUPFD_CLOEXEC, 0))).has_value());
}

}  // namespace tend::journal
