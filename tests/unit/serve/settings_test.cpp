#include "cmd/serve/settings.h"

#include <doctest/doctest.h>

#include <map>

using namespace tend;
using namespace tend::serve;

namespace {

Result<Settings> read(const std::map<std::string, std::string>& environment) {
  return read_settings([&](const std::string& name) {
    const auto at = environment.find(name);
    return at == environment.end() ? nullptr : at->second.c_str();
  });
}

std::string refused(const std::map<std::string, std::string>& environment) {
  const auto settings = read(environment);
  return settings ? "" : settings.error().message;
}

}  // namespace

TEST_CASE("PM2's variables are read, and tend's win over them") {
  const auto s = read({{"PM2_SERVE_PATH", "/srv"},
                       {"PM2_SERVE_PORT", "81"},
                       {"TEND_SERVE_PORT", "82"},
                       {"PM2_SERVE_SPA", "true"},
                       {"PM2_SERVE_FTP", "false"},
                       {"PM2_SERVE_HOMEPAGE", "/start.html"}});
  REQUIRE(s);
  CHECK(s->root == "/srv");
  CHECK(s->port == 82);
  CHECK(s->spa);
  CHECK_FALSE(s->listing);
  CHECK(s->homepage == "start.html");
  CHECK(s->credentials.empty());
  CHECK(s->cache_control == "no-cache");
}

TEST_CASE("a name and a password are asked for together") {
  const auto s = read({{"PM2_SERVE_BASIC_AUTH", "true"},
                       {"PM2_SERVE_BASIC_AUTH_USERNAME", "user"},
                       {"PM2_SERVE_BASIC_AUTH_PASSWORD", "pass"}});
  REQUIRE(s);
  CHECK(s->credentials == "dXNlcjpwYXNz");
  CHECK(refused({{"PM2_SERVE_BASIC_AUTH_USERNAME", "user"}}).find("a name without a password") !=
        std::string::npos);
  CHECK(refused({{"PM2_SERVE_BASIC_AUTH_PASSWORD", "p"}}).find("a password without a name") !=
        std::string::npos);
  CHECK(refused({{"PM2_SERVE_BASIC_AUTH", "true"}}).find("neither") != std::string::npos);
  CHECK_FALSE(
      refused({{"PM2_SERVE_BASIC_AUTH_USERNAME", "a:b"}, {"PM2_SERVE_BASIC_AUTH_PASSWORD", "p"}}).empty());
}

TEST_CASE("PM2's false asks nobody, whatever stands beside it") {
  const auto s = read({{"PM2_SERVE_BASIC_AUTH", "false"},
                       {"PM2_SERVE_BASIC_AUTH_USERNAME", "null"},
                       {"PM2_SERVE_BASIC_AUTH_PASSWORD", "null"}});
  REQUIRE(s);
  CHECK(s->credentials.empty());
}

TEST_CASE("a wrong value is told with what is accepted") {
  CHECK(refused({{"PM2_SERVE_PORT", "65536"}}) == "SERVE_PORT: found 65536; accepted: 1..65535");
  CHECK_FALSE(refused({{"PM2_SERVE_PORT", "0"}}).empty());
  CHECK_FALSE(refused({{"PM2_SERVE_PORT", "8080x"}}).empty());
  CHECK_FALSE(refused({{"PM2_SERVE_SPA", "perhaps"}}).empty());
  CHECK_FALSE(refused({{"TEND_SERVE_CACHE_CONTROL", "a\r\nSet-Cookie: b"}}).empty());
}
