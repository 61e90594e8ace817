#include "core/config/document.h"
#include "core/model/words.h"
#include "tests/unit/config/support.h"

using namespace tend;
using namespace tend::config;

namespace {

std::string as_json(std::string_view text) {
  const auto document = parse_lax_json(text, "f");
  return document ? json_text(document->root) : document.error().message;
}

}  // namespace

TEST_CASE("what JavaScript takes between parentheses is read") {
  CHECK(as_json("\xef\xbb\xbf{a: 1, 'b': \"x\", c: [1,], /* c */ d: null, // e\n}") ==
        R"({"a":1,"b":"x","c":[1],"d":null})");
  CHECK(as_json("[0x1F, -0x10, +5, .5, 5., 1e3, -0, 1.25]") == "[31,-16,5,0.5,5,1000,0,1.25]");
  CHECK(as_json(R"('\x41\u0042\u{1F600}\ud83d\ude00\q\'\n')") ==
        "\"AB\xf0\x9f\x98\x80\xf0\x9f\x98\x80q'\\n\"");
  CHECK(as_json("\"a\\\nb\"") == "\"ab\"");
  CHECK(as_json("{a: undefined, b: 2, a2: [undefined]}") == R"({"b":2,"a2":[null]})");
  CHECK(as_json("{a: 1, a: 2}") == R"({"a":2})");
  CHECK(as_json("[99999999999999999999]") == "[100000000000000000000]");
}

TEST_CASE("errors name file, line, column and what was found") {
  CHECK(as_json("{\n  \"a\": tru\n}") == "f:2:8: found tru; accepted: a value");
  CHECK(as_json("{\"a\" 1}") == "f:1:6: found 1; accepted: :");
  CHECK(as_json("[1 2]") == "f:1:4: found 2; accepted: , or ]");
  CHECK(as_json("{} x") == "f:1:4: found x after the end");
  CHECK(as_json("") == "f:1:1: found the end of the file; accepted: a value");
  CHECK(as_json("[\x1b]").find('\x1b') == std::string::npos);
  for (const char* text : {"{",
                           "[",
                           "\"",
                           "'a",
                           "{a",
                           "{a:",
                           "{a:1",
                           "/*",
                           "\"\\",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\u{}\"",
                           "\"\\u{110000}\"",
                           "\"a\nb\"",
                           "-",
                           "+-1",
                           "1a",
                           "0x",
                           "--1",
                           "inf",
                           "nan",
                           "-inf",
                           "[,]",
                           "{,}",
                           "1.2.3",
                           "\\",
                           "\xff",
                           "\"\xc3\"",
                           "\"\xed\xa0\x80\"",
                           "\"\xc0\x80\"",
                           "1e999"}) {
    CHECK_MESSAGE(!parse_lax_json(text, "f").has_value(), std::string(text));
  }
}

TEST_CASE("nesting is limited, and wide objects stay linear") {
  CHECK(parse_lax_json(std::string(64, '[') + std::string(64, ']'), "f").has_value());
  CHECK_FALSE(parse_lax_json(std::string(65, '[') + std::string(65, ']'), "f").has_value());
  CHECK_FALSE(parse_lax_json(std::string(1000000, '['), "f").has_value());
  std::string wide = "{";
  for (int i = 0; i < 200000; ++i) wide += "k" + std::to_string(i) + ":1,";
  const auto document = parse_lax_json(wide + "k7: 2}", "f");
  REQUIRE(document.has_value());
  CHECK(document->root.map().size() == 200000);
  CHECK(document->root.at("k7") == Value(2));
}

TEST_CASE("lines of apps and of their fields are kept") {
  const auto document = parse_lax_json("{\n\"apps\": [\n{ name: 1,\n script: 2 },\n{ name: 3 }\n]}", "f");
  REQUIRE(document.has_value());
  CHECK(document->line("/apps/0") == 3);
  CHECK(document->line("/apps/0/script") == 4);
  CHECK(document->line("/apps/1/name") == 5);
  CHECK(document->line("/nothing") == 0);
}
