#include "core/model/selector.h"

#include <doctest/doctest.h>

#include <chrono>

using namespace tend;
using Ids = std::vector<uint32_t>;

namespace {

const std::vector<Target> kTargets = {
    {3, "api", "default", "/srv/app.js"},   {0, "api", "shop", "/srv/api.js"},
    {1, "web", "7", "/srv/web.js"},         {2, "5", "shop", "/srv/app.js"},
    {5, "shop", "default", "/srv/shop.js"}, {7, "web-2", "default", "/srv/web.js"}};

std::string error(std::string_view word) {
  const auto found = select(word, "/srv", kTargets);
  return found ? "" : found.error().message;
}

Ids ids(std::string_view word) {
  const auto found = select(word, "/srv", kTargets);
  REQUIRE_MESSAGE(found.has_value(), std::string(word));
  return *found;
}

}  // namespace

TEST_CASE("all means every instance in ascending order") { CHECK(ids("all") == Ids{0, 1, 2, 3, 5, 7}); }

TEST_CASE("a name goes before a namespace, and a path means the script") {
  CHECK(ids("api") == Ids{0, 3});
  CHECK(ids("shop") == Ids{5});
  CHECK(ids("default") == Ids{3, 5, 7});
  CHECK(ids("app.js") == Ids{2, 3});
  CHECK(ids("./sub/../web.js") == Ids{1, 7});
  CHECK(ids("/srv/api.js") == Ids{0});
}

TEST_CASE("a number is a name, then a namespace, then an id") {
  CHECK(ids("5") == Ids{2});
  CHECK(ids("7") == Ids{1});
  CHECK(ids("3") == Ids{3});
  CHECK(error("4") == "process or namespace not found: 4");
  CHECK(error("99999999999999999999") == "process or namespace not found: 99999999999999999999");
}

TEST_CASE("a pattern is unanchored and loses all its slashes") {
  CHECK(ids("/we/") == Ids{1, 7});
  CHECK(ids("/^web$/") == Ids{1});
  CHECK(ids("/a/pi/") == Ids{0, 3});
  CHECK(error("/zzz/") == "process or namespace not found: /zzz/");
  CHECK(error("/(/").starts_with("bad pattern /(/"));
  CHECK_FALSE(error('/' + std::string(300, 'a') + '/').empty());
}

TEST_CASE("a name that was nearly typed is named") {
  CHECK(error("apo") == "process or namespace not found: apo; did you mean api?");
  CHECK(error("webb") == "process or namespace not found: webb; did you mean web?");
}

TEST_CASE("what matches nothing is an error without control characters") {
  CHECK(error("nope") == "process or namespace not found: nope");
  CHECK(error("\x1b[2J").find('\x1b') == std::string::npos);
  CHECK_FALSE(error("").empty());
  CHECK_FALSE(select("all", "/", {}).has_value());
}

TEST_CASE("37: a pattern made to explode is answered at once") {
  const std::string name(256, 'a');
  const std::vector<Target> one = {{0, name, "default", "/x"}};
  const auto start = std::chrono::steady_clock::now();
  CHECK_FALSE(select("/(a*)*(a*)*(a*)*b/", "/", one).has_value());
  CHECK_FALSE(select("/(a|aa)+$b/", "/", one).has_value());
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}
