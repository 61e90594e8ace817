#include "core/config/document.h"
#include "core/model/env.h"
#include "tests/unit/config/support.h"

using namespace tend;
using namespace tend::config;

namespace {

Loaded load(const Folder& f, const std::string& text, bool pm2 = false) {
  f.write("app/Procfile", text);
  Context context = caller(f.path(), pm2);
  std::erase_if(context.environment, [](const auto& e) { return e.first == "PORT"; });
  return load_file("app/Procfile", context);
}

}  // namespace

TEST_CASE("a Procfile is known by its name, in any folder") {
  for (const char* name : {"Procfile", "x/Procfile", "Procfile.dev", "dev.procfile"})
    CHECK_MESSAGE(is_procfile(name), std::string(name));
  for (const char* name : {"procfile", "Procfiles", "MyProcfile", "Procfile/x"})
    CHECK_MESSAGE(!is_procfile(name), std::string(name));
}

TEST_CASE("each line of a Procfile is an app for the shell with a port of its own") {
  const Folder f;
  for (const bool pm2 : {false, true}) {
    const Loaded loaded = load(f, "# apps\nweb: sleep $PORT\r\n\nworker-2:  $CMD\n", pm2);
    CHECK(messages(loaded) == "");
    REQUIRE(loaded.apps.size() == 2);
    CHECK(loaded.apps[0].name == "web");
    CHECK(loaded.apps[0].args == StringList{"-c", "sleep $PORT"});
    CHECK(loaded.apps[0].interpreter == "none");
    CHECK(loaded.apps[0].cwd == f.path() + "/app");
    CHECK(variable(loaded.apps[0].env, "PORT") == "5000");
    CHECK(loaded.apps[0].increment_var == "PORT");
    CHECK(loaded.apps[1].args == StringList{"-c", " $CMD"});
    CHECK(variable(loaded.apps[1].env, "PORT") == "5100");
    CHECK(loaded.apps[0].env_file.empty());
  }
}

TEST_CASE("a .env beside a Procfile is its env_file and may say where ports begin") {
  const Folder f;
  const std::string dotenv = f.write("app/.env", "PORT=7000\nX=1\n");
  for (const bool pm2 : {false, true}) {
    const Loaded loaded = load(f, "a: sleep 1\nb: sleep 1\n", pm2);
    REQUIRE(loaded.apps.size() == 2);
    CHECK(loaded.apps[1].env_file == dotenv);
    CHECK(variable(loaded.apps[1].env, "PORT") == "7100");
  }
}

TEST_CASE("a wrong line of a Procfile is told with its place, and nothing starts") {
  const Folder f;
  CHECK(messages(load(f, "a: sleep 1\nnonsense\n")) ==
        "! app/Procfile:2: found \"nonsense\"; accepted: name: command\n");
  CHECK(load(f, "a b: sleep 1\n").failed);
  CHECK(load(f, "a:\n").failed);
  CHECK(load(f, "# none\n").failed);
}
