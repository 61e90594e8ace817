#include "ipc/msgpack.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <random>

using namespace tend;
using namespace tend::ipc;

namespace {

Result<Value> parse(const std::vector<uint8_t>& bytes, std::size_t max_items = kMaxItems) {
  return from_msgpack(std::as_bytes(std::span(bytes)), max_items);
}

Value nested(std::size_t depth) {
  Value v = 1;
  for (std::size_t i = 0; i < depth; ++i) v = List{std::move(v)};
  return v;
}

Value sample() {
  return Map{{"zero", 0},
             {"null", nullptr},
             {"yes", true},
             {"min", INT64_MIN},
             {"max", INT64_MAX},
             {"pi", 3.25},
             {"text", "ä\n\"\\"},
             {"list", List{1, "two", List{}, Map{}}},
             {"a", Map{{"z", 1}, {"y", 2}}}};
}

}  // namespace

TEST_CASE("a value keeps its types and the order of its keys through MessagePack and JSON") {
  const auto packed = parse(to_msgpack(sample()));
  REQUIRE(packed.has_value());
  CHECK(*packed == sample());
  const auto json = from_json(to_json(sample()));
  REQUIRE(json.has_value());
  CHECK(*json == sample());
  CHECK(to_json(Map{{"b", 1}, {"a", List{true, nullptr}}}) == R"({"b":1,"a":[true,null]})");
  CHECK(to_json(Map{{"b", 1}}, 2) == "{\n  \"b\": 1\n}");
}

TEST_CASE("a string that is not UTF-8 survives MessagePack as it is and is replaced in JSON") {
  const std::string raw = "a\xff\xc3\x28z";
  const auto packed = parse(to_msgpack(Map{{raw, raw}}));
  REQUIRE(packed.has_value());
  CHECK(packed->at(raw).text() == raw);
  const std::string json = to_json(Value(raw));
  CHECK(json.find("\xef\xbf\xbd") != std::string::npos);
  CHECK(from_json(json).has_value());
}

TEST_CASE("100,000 nested arrays are refused") {
  const std::vector<uint8_t> bomb(100'000, 0x91);
  const auto v = parse(bomb);
  REQUIRE_FALSE(v.has_value());
  CHECK(v.error().message.find("deeper than 32") != std::string::npos);
  CHECK_FALSE(from_json(std::string(100'000, '[')).has_value());
  CHECK(from_json(std::string(100'000, '[')).error().message.find("deeper than 512") != std::string::npos);
}

TEST_CASE("depth 32 is taken, what is deeper is written as null and so is read again") {
  const auto v = parse(to_msgpack(nested(32)));
  REQUIRE(v.has_value());
  CHECK(*v == nested(32));
  const auto cut = parse(to_msgpack(nested(33)));
  REQUIRE(cut.has_value());
  std::vector<uint8_t> deeper(33, 0x91);
  deeper.push_back(1);
  CHECK_FALSE(parse(deeper).has_value());
}

TEST_CASE("items are counted, keys too, and the limit is the caller's") {
  CHECK(parse(to_msgpack(List(99'999, Value(1)))).has_value());
  CHECK_FALSE(parse(to_msgpack(List(100'000, Value(1)))).has_value());
  CHECK(parse(to_msgpack(List(100'000, Value(1))), kMaxOwnItems).has_value());
  CHECK_FALSE(parse(to_msgpack(Map{{"a", 1}, {"b", 2}}), 4).has_value());
  CHECK(parse(to_msgpack(Map{{"a", 1}, {"b", 2}}), 5).has_value());
}

TEST_CASE("lengths beyond the end are refused before anything is set aside") {
  for (const int t : {0xdd, 0xdf, 0xdb, 0xc6, 0xc9}) {
    const auto tag = static_cast<uint8_t>(t);
    CHECK_FALSE(parse({tag, 0xff, 0xff, 0xff, 0xff}).has_value());
    CHECK_FALSE(parse({tag, 0xff, 0xff, 0xff, 0xff, 0x01}).has_value());
    CHECK_FALSE(parse({tag, 0xff}).has_value());
  }
  CHECK_FALSE(parse({}).has_value());
  CHECK_FALSE(parse({0xc1}).has_value());
  CHECK_FALSE(parse({0x01, 0x01}).has_value());
  CHECK_FALSE(parse({0x81, 0x01, 0x01}).has_value());  // a key that is no string
}

TEST_CASE("a message cut off at any byte is refused") {
  const auto whole = to_msgpack(sample());
  for (std::size_t n = 0; n < whole.size(); ++n) {
    CHECK_FALSE(from_msgpack(std::as_bytes(std::span(whole)).first(n)).has_value());
  }
}

TEST_CASE("random bytes are parsed or refused, and what was parsed can be written and parsed again") {
  std::mt19937 random(3);
  int parsed = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::vector<uint8_t> bytes(random() % 24);
    for (auto& b : bytes) b = static_cast<uint8_t>(random());
    if (const auto v = parse(bytes)) {
      ++parsed;
      CHECK(parse(to_msgpack(*v)).has_value());
    }
  }
  CHECK(parsed > 100);
}

TEST_CASE("extension and binary values become strings, large unsigned numbers doubles") {
  CHECK(parse({0xc4, 2, 'a', 'b'})->text() == "ab");
  CHECK(parse({0xd4, 5, 'x'})->text() == "x");
  CHECK(parse({0xc7, 2, 5, 'x', 'y'})->text() == "xy");
  CHECK(parse({0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})->number() ==
        doctest::Approx(1.8446744e19));
}

TEST_CASE("of a key given twice the last value wins, at the first one's place") {
  CHECK(to_json(*from_json(R"({"a":1,"b":2,"a":3,"c":4,"b":5})")) == R"({"a":3,"b":5,"c":4})");
  CHECK(to_json(*parse({0x82, 0xa1, 'k', 1, 0xa1, 'k', 2})) == R"({"k":2})");
}

TEST_CASE("an object of 40,000 keys takes no quadratic time") {
  Map m;
  for (int i = 0; i < 40'000; ++i) m.append("key" + std::to_string(i), i);
  const auto begin = std::chrono::steady_clock::now();
  const auto back = parse(to_msgpack(Value(m)));
  const auto json = from_json(to_json(Value(m)));
  REQUIRE(back.has_value());
  REQUIRE(json.has_value());
  CHECK(back->map() == m);
  CHECK(json->map() == m);
  // Quadratic: over ten seconds; linear: some 50 ms.
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(4));
}

TEST_CASE("a mistake in JSON is named with its line and column") {
  const auto e = from_json("{\n  \"a\": 1,\n  oops\n}");
  REQUIRE_FALSE(e.has_value());
  CHECK(e.error().message.substr(0, 18) == "line 3, column 3: ");
  CHECK(e.error().message.find("json.exception") == std::string::npos);
  for (const char* bad : {"", "{", "[1,]", "nul", "1 2", "\"\xff\"", "{'a':1}", "1e999"}) {
    CAPTURE(bad);
    CHECK_FALSE(from_json(bad).has_value());
  }
}

TEST_CASE("numbers that JSON cannot say are written as null") {
  CHECK(to_json(List{std::nan(""), INFINITY}) == "[null,null]");
}
