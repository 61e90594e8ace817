#include "cmd/render/mask.h"

#include <doctest/doctest.h>

using namespace tend;
using namespace tend::render;

TEST_CASE("values below secret names are masked wherever they stand, others stay") {
  const Value before = Map{{"API_TOKEN", "t"},
                           {"PORT", 80},
                           {"PIN_KEY", 1234},
                           {"EMPTY_SECRET", ""},
                           {"url", "redis://u:p@h/0"},
                           {"deep", Map{{"env_production", Map{{"DB_PASSWORD", "x"}, {"A", "b"}}}}},
                           {"on", true}};
  const Value after = masked_value("", before);
  CHECK(after.at("API_TOKEN").text() == "****");
  CHECK(after.at("PORT") == Value(80));
  CHECK(after.at("PIN_KEY").text() == "****");
  CHECK(after.at("EMPTY_SECRET").text() == "");
  CHECK(after.at("url").text() == "redis://u:****@h/0");
  CHECK(after.at("deep").at("env_production").at("DB_PASSWORD").text() == "****");
  CHECK(after.at("deep").at("env_production").at("A").text() == "b");
  CHECK(after.at("on") == Value(true));
}

TEST_CASE("words of a command line are masked after a secret's name") {
  const Value words =
      List{"--port", "80", "--api-token=abc", "--password", "hush", "--token", "--next", "x", 7};
  CHECK(masked_value("args", words) ==
        Value(List{"--port", "80", "--api-token=****", "--password", "****", "--token", "--next", "x", 7}));
}
