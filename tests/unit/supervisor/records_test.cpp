// The journal of each version that was ever written is understood, down to the apps that it names.
#include <doctest/doctest.h>

#include <map>

#include "core/journal/journal.h"
#include "core/model/env.h"
#include "core/supervisor/supervisor.h"

namespace tend::supervisor {

TEST_CASE("a journal of version 1 gives its apps, their environment and what was wanted") {
  const auto loaded = journal::Journal::load(TEND_FIXTURES "/journal-1.bin", "another boot");
  REQUIRE_MESSAGE(loaded.has_value(), loaded.error().message);
  CHECK(loaded->warning.empty());
  CHECK_FALSE(loaded->same_boot);
  std::map<uint32_t, Value> bodies;
  for (const journal::Record& r : loaded->records) bodies[r.id] = r.body;

  const auto lives = instance_of(0, bodies.at(0));
  REQUIRE_MESSAGE(lives.has_value(), lives.error().message);
  const AppSpec& spec = *(*lives)->spec;
  CHECK(spec.name == "lives");
  CHECK(spec.script == "/bin/sleep");
  CHECK(spec.args == std::vector<std::string>{"1000"});
  CHECK(spec.cwd == "/");
  CHECK(spec.max_restarts == 7);
  CHECK(spec.kill_timeout.n == 3000);
  CHECK((*lives)->identity.uid == -1);
  CHECK((*lives)->unique_id == "c0a04963-be3a-405b-8e44-0d5212e609e8");

  const auto rests = instance_of(1, bodies.at(1));
  REQUIRE_MESSAGE(rests.has_value(), rests.error().message);
  CHECK((*rests)->spec->name == "rests");
  CHECK(bodies.at(kWishIds).at("wanted").boolean());
  CHECK_FALSE(bodies.at(kWishIds + 1).at("wanted").boolean(true));
  const auto number = static_cast<uint32_t>(bodies.at(0).at("env").integer());
  const Env env = env_from_value(bodies.at(kEnvIds + number));
  const std::string* locale = find_variable(env, "LC_ALL");
  REQUIRE(locale != nullptr);
  CHECK(*locale == "C.UTF-8");
}

}  // namespace tend::supervisor
