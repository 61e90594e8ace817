#include "core/config/document.h"
#include "core/model/words.h"
#include "tests/unit/config/support.h"

using namespace tend;
using namespace tend::config;

namespace {

std::string as_json(const std::string& text) {
  const auto document = parse_yaml(text, "f");
  return document ? json_text(document->root) : document.error().message;
}

}  // namespace

TEST_CASE("plain scalars have js-yaml 4's types") {
  CHECK(as_json("[yes, on, No, true, FALSE, ~, null, '', '7', \"true\"]") ==
        R"(["yes","on","No",true,false,null,null,"","7","true"])");
  CHECK(as_json("[0755, 0o755, 0x1F, 0b11, 1_000, -5, +5, 1.10, 1e3, .5, 1.2.3, '-', 12px]") ==
        R"([755,493,31,3,1000,-5,5,1.1,1000,0.5,"1.2.3","-","12px"])");
  CHECK(as_json("[2026-01-02, 2026-01-02T03:04:05Z, 2001-12-14 21:59:43.10 -5:00, 12:30]") ==
        R"(["2026-01-02T00:00:00.000Z","2026-01-02T03:04:05.000Z","2001-12-15T02:59:43.100Z","12:30"])");
  CHECK(as_json("a: !!str 7\nb: >\n  x\n  y\n") == R"({"a":"7","b":"x y\n"})");
  CHECK(as_json("a:\n") == R"({"a":null})");
}

TEST_CASE("aliases and merge keys are written out") {
  CHECK(as_json("base: &b {x: 1, y: 2}\napp:\n  <<: *b\n  y: 3\n") ==
        R"({"base":{"x":1,"y":2},"app":{"y":3,"x":1}})");
}

TEST_CASE("YAML that js-yaml refuses is refused with its line") {
  CHECK(as_json("a: 1\na: 2\n") == "f:2:1: key a twice");
  CHECK(as_json("a: !ruby/object 1\n").starts_with("f:1:"));
  CHECK(as_json("a: [1\n").starts_with("f:"));
  CHECK(as_json("? [a]\n: 1\n").starts_with("f:"));
  CHECK(as_json("a: \xff\n") == "f:1: a byte that is no UTF-8");
}

TEST_CASE("37: a bomb of aliases, and a tower, are refused") {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string below = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + below;
    for (int k = 0; k < 8; ++k) bomb += ", " + below;
    bomb += "]\n";
  }
  CHECK(as_json(bomb).find("200000 values") != std::string::npos);
  CHECK(as_json("a: &a [*a]\n").starts_with("f:"));
  CHECK(as_json(std::string(100, '[') + std::string(100, ']')).find("64 deep") != std::string::npos);
  CHECK(as_json(std::string(100000, '[')).starts_with("f:"));
  CHECK(as_json(std::string(100000, '{')).starts_with("f:"));
  std::string dashes;
  for (int i = 0; i < 50000; ++i) dashes += "- ";
  CHECK(as_json(dashes).starts_with("f:"));
}

TEST_CASE("lines of apps are kept") {
  const auto document = parse_yaml("# c\napps:\n  - name: a\n    script: b\n", "f");
  REQUIRE(document.has_value());
  CHECK(document->line("/apps/0") == 3);
  CHECK(document->line("/apps/0/script") == 4);
}
