#include "core/model/words.h"

#include <doctest/doctest.h>

using namespace tend;
using Words = std::vector<std::string>;

TEST_CASE("words are split at blanks outside quotes, and only wrapping quotes go") {
  CHECK(split_words("--title \"two words\" --flag='single quoted' plain") ==
        Words{"--title", "two words", "--flag='single quoted'", "plain"});
  CHECK(split_words("-c \"a; b\"") == Words{"-c", "a; b"});
  CHECK(split_words("--one 1\n--two \"2 3\"\n") == Words{"--one", "1", "--two", "2 3"});
  CHECK(split_words("") == Words{});
  CHECK(split_words("  ") == Words{});
  CHECK(split_words("it's fine") == Words{"it's", "fine"});
  CHECK(split_words("'' \"") == Words{"", "\""});
}

TEST_CASE("numbers print as JavaScript prints them") {
  CHECK(js_text(3000) == "3000");
  CHECK(js_text(1.5) == "1.5");
  CHECK(js_text(0.1) == "0.1");
  CHECK(js_text(1e21) == "1e+21");
  CHECK(js_text(123456789012345680.0) == "123456789012345680");
  CHECK(js_text(nullptr) == "null");
  CHECK(json_text(Map{{"a\n", List{"\x01", true}}}) == "{\"a\\n\":[\"\\u0001\",true]}");
}
