#include "ipc/node_lines.h"

#include <doctest/doctest.h>

#include <vector>

using namespace tend::ipc;

TEST_CASE("whole lines are cut off one by one and a beginning stays where it is") {
  NodeLines lines;
  auto s = lines.next("one\ntwo\nthr", false);
  CHECK(s.consume == 4);
  CHECK(s.line == "one");
  s = lines.next("two\nthr", false);
  CHECK(s.consume == 4);
  CHECK(s.line == "two");
  s = lines.next("thr", false);
  CHECK(s.consume == 0);
  CHECK_FALSE(s.line.has_value());
  CHECK_FALSE(lines.gathering());
  CHECK(lines.next("\n", false).line == "");
}

TEST_CASE("a beginning that is taken is joined with its end, byte by byte if need be") {
  NodeLines lines;
  CHECK(lines.next("a", true).consume == 1);
  CHECK(lines.gathering());
  CHECK(lines.next("b", false).consume == 1);
  const auto s = lines.next("c\nd\n", false);
  CHECK(s.consume == 2);
  CHECK(s.line == "abc");
  CHECK_FALSE(lines.gathering());
  CHECK(lines.next("d\n", false).line == "d");
}

TEST_CASE("a line of the longest length is taken and one byte more is skipped up to its end") {
  for (const bool in_parts : {false, true}) {
    NodeLines lines(4);
    if (in_parts) CHECK(lines.next("ab", true).consume == 2);
    CHECK(lines.next(in_parts ? "cd\n" : "abcd\n", false).line == "abcd");
    if (in_parts) CHECK(lines.next("ab", true).consume == 2);
    const auto s = lines.next(in_parts ? "cde\n" : "abcde\n", false);
    CHECK_FALSE(s.line.has_value());
    CHECK(s.consume == (in_parts ? 4 : 6));
    CHECK(lines.next("ok\n", false).line == "ok");
  }
}

TEST_CASE("an endless line is skipped in pieces without being kept") {
  NodeLines lines(10);
  for (int i = 0; i < 100; ++i) CHECK(lines.next("0123456", true).consume == 7);
  CHECK(lines.gathering());
  CHECK_FALSE(lines.next("x\n", false).line.has_value());
  CHECK(lines.next("ok\n", false).line == "ok");
}
