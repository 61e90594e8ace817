#include <doctest/doctest.h>

#include "cmd/render/inspect.h"

using namespace tend;
using render::inspect;

TEST_CASE("short values share a line, as Node shows them") {
  CHECK(inspect(List{}) == "[]");
  CHECK(inspect(Map{}) == "{}");
  CHECK(inspect(List{1, 2}) == "[ 1, 2 ]");
  CHECK(inspect(List{"0"}) == "[ '0' ]");
  CHECK(inspect(Map{{"msg", "pong"}}) == "{ msg: 'pong' }");
  CHECK(inspect(Map{{"a-b", nullptr}, {"c", 1.5}, {"d", false}}) == "{ 'a-b': null, c: 1.5, d: false }");
}

TEST_CASE("a text takes the quotes that need no escape") {
  CHECK(inspect(List{"it's"}) == "[ \"it's\" ]");
  CHECK(inspect(List{"a'b\"c"}) == "[ `a'b\"c` ]");
  CHECK(inspect(List{"tab\t\x1b"}) == "[ 'tab\\t\\x1B' ]");
  CHECK(inspect(List{"\x7f\xc2\x9b \xc2\xa0"}) == "[ '\\x7F\\x9B \xc2\xa0' ]");
}

TEST_CASE("what is longer than 72 or deeper than three levels is broken into lines") {
  const Value deep = Map{{"a", Map{{"b", Map{{"c", Map{{"d", 1}}}}}}}};
  CHECK(inspect(deep) == "{\n  a: { b: { c: { d: 1 } } }\n}");
  const std::string word(40, 'x');
  CHECK(inspect(List{word, word}) == "[\n  '" + word + "',\n  '" + word + "'\n]");
}

TEST_CASE("lists of more than six items are set in columns") {
  List numbers;
  for (int i = 1; i <= 10; ++i) numbers.emplace_back(i);
  CHECK(inspect(numbers) == "[\n  1, 2, 3, 4,  5,\n  6, 7, 8, 9, 10\n]");
}
