#include "cmd/tend/schema.h"

#include <doctest/doctest.h>

#include "core/base/text.h"
#include "core/model/options.h"

using namespace tend;

namespace {

// Each "$ref" must lead somewhere.
void check_references(const Value& schema, const Value& node) {
  for (const auto& [key, value] : node.map()) {
    if (key == "$ref") {
      const Value* at = &schema;
      const auto steps = split(value.text(), '/');
      for (std::size_t i = 1; i < steps.size(); ++i) at = &at->at(steps[i]);
      const std::string reference(value.text());
      CHECK_MESSAGE(!at->is_null(), reference);
    }
    check_references(schema, value);
  }
  for (const Value& value : node.list()) check_references(schema, value);
}

}  // namespace

TEST_CASE("the schema has each option under all its names") {
  const Value schema = cli::ecosystem_schema();
  const Value& fields = schema.at("$defs").at("app").at("properties");
  for (const OptionRow& row : options()) {
    CHECK_MESSAGE(!fields.at(row.key).is_null(), std::string(row.key));
    CHECK(fields.at(row.key).at("description").text() == std::string(row.help));
    for (const std::string& alias : split(row.aliases, ' '))
      CHECK_MESSAGE((alias.empty() || !fields.at(alias).is_null()), alias);
  }
  CHECK_FALSE(fields.at("maxMemoryRestart").is_null());
  CHECK(schema.at("$schema").text() == "https://json-schema.org/draft/2020-12/schema");
}

TEST_CASE("what the schema refers to is in it") {
  const Value schema = cli::ecosystem_schema();
  check_references(schema, schema);
}

TEST_CASE("words and ranges of the table are the schema's") {
  const Value schema = cli::ecosystem_schema();
  const Value& fields = schema.at("$defs").at("app").at("properties");
  const Value& mode = fields.at("exec_mode").at("anyOf").list()[0];
  CHECK(mode.at("enum") == Value(List{"fork", "cluster", "fork_mode", "cluster_mode"}));
  const Value& nice = fields.at("nice").at("anyOf").list()[0];
  CHECK(nice.at("minimum") == Value(-20));
  CHECK(nice.at("maximum") == Value(19));
}
