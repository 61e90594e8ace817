#include "core/config/package_script.h"

#include "core/model/options.h"
#include "tests/unit/config/support.h"

using namespace tend;
using namespace tend::config;

namespace {

AppSpec npm(const Folder& f, StringList args, std::string runner = "npm") {
  AppSpec spec;
  spec.script = std::move(runner);
  spec.args = std::move(args);
  spec.cwd = f.path();
  return spec;
}

Unwrapped unwrap(const Folder& f, AppSpec& spec) {
  std::string entry;
  return unwrap_package_script(spec, caller(f.path(), false), entry);
}

void package(const Folder& f, const std::string& scripts) {
  f.write("package.json", R"({"name": "shop", "version": "1.2.3", "scripts": {)" + scripts + "}}");
}

}  // namespace

TEST_CASE("npm start that runs node becomes the script itself, in npm's environment") {
  const Folder f;
  f.write("dist/main.js", "");
  package(
      f,
      R"("start": "NODE_ENV=production MODE=a=b node --max-old-space-size=99 -r ./x.js dist/main --port 1")");
  AppSpec spec = npm(f, {"start", "--", "--verbose"});
  spec.env = {{"npm_lifecycle_event", "mine"}, {"NODE_ENV", "test"}};
  REQUIRE(unwrap(f, spec) == Unwrapped::replaced);
  CHECK(spec.script == f.path() + "/dist/main.js");
  CHECK(spec.interpreter == "node");
  CHECK(spec.node_args == StringList{"--max-old-space-size=99", "-r", "./x.js"});
  CHECK(spec.args == StringList{"--port", "1", "--verbose"});
  CHECK(variable(spec.env, "NODE_ENV") == "production");
  CHECK(variable(spec.env, "MODE") == "a=b");
  CHECK(variable(spec.env, "npm_lifecycle_event") == "mine");
  CHECK(variable(spec.env, "npm_package_name") == "shop");
  CHECK(variable(spec.env, "npm_package_version") == "1.2.3");
  CHECK(variable(spec.env, "PATH").rfind(f.path() + "/node_modules/.bin:", 0) == 0);
}

TEST_CASE("a program of node_modules/.bin is found, in the folders above too") {
  const Folder f;
  const std::string program = f.write("node_modules/.bin/serve", "#!/usr/bin/env node\n", true);
  f.write("sub/package.json", R"({"scripts": {"dev": "serve -p 80"}})");
  for (const char* runner : {"npm", "yarn", "/usr/bin/pnpm"}) {
    AppSpec spec = npm(f, {"run", "dev", "here"}, runner);
    spec.cwd = f.path() + "/sub";
    REQUIRE(unwrap(f, spec) == Unwrapped::replaced);
    CHECK(spec.script == program);
    CHECK(spec.args == StringList{"-p", "80", "here"});
  }
}

TEST_CASE("what needs a shell or more than one command stays the runner's") {
  const Folder f;
  f.write("a.js", "");
  for (const char* entry : {"node a.js && echo", "node a.js | cat", "node '$x'", "node -e 1", "node", "A=1",
                            "nowhere a", "node a.js > log", "node *.js", "node missing.js"}) {
    CAPTURE(entry);
    package(f, R"("start": ")" + std::string(entry) + '"');
    AppSpec spec = npm(f, {"start"});
    CHECK(unwrap(f, spec) == Unwrapped::too_much);
    CHECK(spec.script == "npm");
    CHECK(spec.env.empty());
  }
  package(f, R"("start": "node a.js", "prestart": "node b.js")");
  AppSpec hooked = npm(f, {"start"});
  CHECK(unwrap(f, hooked) == Unwrapped::too_much);
}

TEST_CASE("other words, and options of the runner, are not looked into") {
  const Folder f;
  f.write("a.js", "");
  package(f, R"("start": "node a.js")");
  for (const StringList& args :
       {StringList{}, StringList{"ci"}, StringList{"run"}, StringList{"run", "other"},
        StringList{"--prefix", "x", "start"}, StringList{"start", "--silent"}}) {
    AppSpec spec = npm(f, args);
    CHECK(unwrap(f, spec) == Unwrapped::no_runner);
  }
  AppSpec script = npm(f, {"start"}, "a.js");
  CHECK(unwrap(f, script) == Unwrapped::no_runner);
}

TEST_CASE(
    "as cluster it is unwrapped under both names, or refused with what it runs; else a fork of the runner") {
  const Folder f;
  f.write("a.js", "");
  package(f, R"("start": "node a.js", "both": "node a.js & node a.js")");
  for (const bool pm2 : {false, true}) {
    AppSpec spec = npm(f, {"start"});
    REQUIRE(assign(spec, *find_option("instances"), 2));
    REQUIRE(resolve(spec, caller(f.path(), pm2)));
    CHECK(spec.script == f.path() + "/a.js");
    CHECK(spec.exec_mode == "cluster");
  }
  AppSpec two = npm(f, {"run", "both"});
  REQUIRE(assign(two, *find_option("instances"), 2));
  const auto refused = resolve(two, caller(f.path(), false));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("node a.js & node a.js") != std::string::npos);
}
