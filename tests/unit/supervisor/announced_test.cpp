#include "core/supervisor/announced.h"

#include <doctest/doctest.h>

using namespace tend;
using namespace tend::supervisor;

namespace {

Value said(std::string_view type, Map data) { return Map{{"type", type}, {"data", std::move(data)}}; }
Value action(std::string name, Value opts = {}) {
  return said("axm:action", Map{{"action_name", std::move(name)}, {"opts", std::move(opts)}});
}

}  // namespace

TEST_CASE("actions are unique by name and stay in the order of coming") {
  Announced a;
  CHECK(a.hear(action("b")).more);
  CHECK(a.hear(action("a")).more);
  CHECK(!a.hear(action("b")).more);
  CHECK(a.hear(action("b", 1)).more);
  REQUIRE(a.actions().size() == 2);
  CHECK(a.actions()[0].at("action_name").text() == "b");
  CHECK(a.actions()[0].at("opts").integer() == 1);
  CHECK(a.has_action("a"));
  CHECK(!a.has_action("c"));
}

TEST_CASE("metrics and options are merged, and what is no announcement is not kept") {
  Announced a;
  CHECK(a.hear(said("axm:monitor", Map{{"x", 1}, {"y", 2}})).more);
  const auto again = a.hear(said("axm:monitor", Map{{"y", 3}}));
  CHECK(again.values);
  CHECK(!again.more);
  CHECK(a.metrics() == Map{{"x", 1}, {"y", 3}});
  a.hear(said("axm:option:configuration", Map{{"pid", 77}}));
  CHECK(a.measured_pid() == 77);
  a.hear(said("axm:option:configuration", Map{{"pid", int64_t{1} << 40}}));
  CHECK(a.measured_pid() == 0);
  for (const Value& other :
       {said("axm:reply", Map{{"return", 1}}), said("mine", Map{}), Value("axm:action"), Value()})
    CHECK(!a.hear(other).kept);
  for (const Value& odd : {said("axm:action", Map{}), said("axm:action", Map{{"action_name", 7}}),
                           Value(Map{{"type", "axm:monitor"}, {"data", "text"}})}) {
    const auto heard = a.hear(odd);
    CHECK(heard.kept);
    CHECK(!heard.more);
  }
}

TEST_CASE(
    "what an app announces is bounded in number, size and length of names, and what is there can still "
    "change") {
  Announced a;
  bool refused = false;
  for (int i = 0; i < 1000; ++i) refused = a.hear(action("a" + std::to_string(i))).refused;
  CHECK(refused);
  CHECK(a.actions().size() == 256);
  CHECK(a.hear(action("a0", "other")).more);
  CHECK(a.hear(action("a0", std::string(100'000, 'x'))).refused);
  CHECK(a.actions()[0].at("opts").text() == "other");
  CHECK(a.hear(said("axm:monitor", Map{{std::string(257, 'n'), 1}})).refused);
  for (int i = 0; i < 5000; ++i) {
    a.hear(said("axm:monitor", Map{{"m" + std::to_string(i), std::string(50, 'x')}}));
    a.hear(said("axm:option:configuration", Map{{"o" + std::to_string(i), std::string(200, 'x')}}));
  }
  CHECK(a.metrics().size() == 1024);
  CHECK(weight_of(a.options()) < (96u << 10));
  CHECK(a.hear(Map{{"node_version", std::string(65, '1')}}).refused);
  CHECK(a.node_version().empty());
}

TEST_CASE("a value that shrinks makes room") {
  BoundedMap map(10, 1000);
  CHECK(map.put("a", std::string(800, 'x')) == BoundedMap::Put::added);
  CHECK(map.put("b", std::string(400, 'x')) == BoundedMap::Put::refused);
  CHECK(map.put("a", "small") == BoundedMap::Put::replaced);
  CHECK(map.put("a", "small") == BoundedMap::Put::same);
  CHECK(map.put("b", std::string(400, 'x')) == BoundedMap::Put::added);
  CHECK(map.find("b")->text().size() == 400);
}

TEST_CASE("what was kept is read back whole") {
  Announced a;
  a.hear(action("x", Map{{"deep", List{1, 2}}}));
  a.hear(said("axm:action", Map{{"action_name", "s"}, {"action_type", "scoped"}}));
  a.hear(said("axm:monitor", Map{{"m", 1.5}}));
  a.hear(said("axm:option:configuration", Map{{"o", true}}));
  a.hear(Map{{"node_version", "20.1.0"}});
  const Announced again = Announced::from_value(a.to_value());
  CHECK(again.to_value() == a.to_value());
  CHECK(again.is_scoped("s"));
  CHECK(!again.is_scoped("x"));
}
