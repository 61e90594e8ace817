#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/tail.h"
#include "core/base/unique_fd.h"

using namespace tend;
using tend::last_lines;

namespace {

UniqueFd file_of(const std::string& text) {
  UniqueFd fd(::memfd_create("tail", MFD_CLOEXEC));
  REQUIRE(fd);
  REQUIRE(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  return fd;
}

std::string tail(const std::string& text, std::size_t lines, std::size_t bound = 16u << 20) {
  const UniqueFd fd = file_of(text);
  const auto t = last_lines(fd.get(), lines, bound);
  REQUIRE(t);
  CHECK(t->end == static_cast<int64_t>(text.size()));
  return t->text;
}

}  // namespace

TEST_CASE("the last lines are exact, with and without a newline at the end") {
  CHECK(tail("a\nb\nc\n", 2) == "b\nc\n");
  CHECK(tail("a\nb\nc", 2) == "b\nc");
  CHECK(tail("a\nb\nc\n", 3) == "a\nb\nc\n");
  CHECK(tail("a\nb\nc\n", 9) == "a\nb\nc\n");
  CHECK(tail("a\n\n\n", 2) == "\n\n");
  CHECK(tail("\n", 1) == "\n");
  CHECK(tail("", 5).empty());
  CHECK(tail("a\nb\n", 0).empty());
}

TEST_CASE("lines are found over the borders of blocks, whatever their length") {
  constexpr std::size_t kBlock = 64u << 10;
  for (const std::size_t length : {kBlock - 2, kBlock - 1, kBlock, kBlock + 1, 2 * kBlock - 1, 2 * kBlock}) {
    CAPTURE(length);
    const std::string line = std::string(length, 'x') + "\n";
    CHECK(tail("first\n" + line + line, 1) == line);
    CHECK(tail("first\n" + line + line, 2) == line + line);
    CHECK(tail("first\n" + line + "last\n", 2) == line + "last\n");
    CHECK(tail(line + "last", 1) == "last");
  }
}

TEST_CASE("no more than the bound is read, and the answer says so") {
  const UniqueFd fd = file_of(std::string(1000, 'x') + "\nend\n");
  const auto t = last_lines(fd.get(), 2, 100);
  REQUIRE(t);
  CHECK(t->bounded);
  CHECK(t->text.size() == 100);
  const auto one = last_lines(fd.get(), 1, 100);
  REQUIRE(one);
  CHECK_FALSE(one->bounded);
  CHECK(one->text == "end\n");
}
