// Servers of files as apps: section static, script serve, and what they become.
#include "tests/unit/config/support.h"

using namespace tend;
using namespace tend::config;

namespace {

struct World {
  explicit World(bool pm2 = false) : context(caller(folder.path(), pm2)) {
    context.serve_program = folder.write("bin/tend-serve", "", true);
    folder.write("site/index.html", "x");
  }
  Loaded load(const std::string& text) { return load_file(folder.write("eco.config.json", text), context); }
  // The one app's variable after loading.
  std::string value(const std::string& text, const std::string& name) {
    const Loaded loaded = load(text);
    return loaded.apps.size() == 1 ? variable(loaded.apps[0].env, name)
                                   : "apps: " + std::to_string(loaded.apps.size());
  }
  Folder folder;
  Context context;
};

std::string problem(const Loaded& loaded) {
  return loaded.problems.empty() ? "" : loaded.problems[0].message;
}

}  // namespace

TEST_CASE("each entry of static is an app behind the others, with sockets of its own") {
  World w;
  const Loaded loaded = w.load(R"({"apps": [{"name": "api", "script": "sleep"}],
    "static": [{"name": "web", "path": "site", "port": 81, "spa": true, "instances": 3, "namespace": "n"},
               {"path": "./site", "host": "::1", "basic_auth": {"username": "u", "password": "p"}}]})");
  REQUIRE_MESSAGE(loaded.apps.size() == 3, problem(loaded));
  const AppSpec &web = loaded.apps[1], &other = loaded.apps[2];
  CHECK(web.name == "web");
  CHECK(web.name_space == "n");
  CHECK(web.instances == 3);
  CHECK(web.script == w.context.serve_program);
  CHECK(web.interpreter == "none");
  CHECK(web.exec_mode == "fork");
  CHECK(web.listen == StringList{"tcp://0.0.0.0:81"});
  CHECK(web.wait_ready);
  CHECK(variable(web.env, "PM2_SERVE_PATH") == w.folder.path() + "/site");
  CHECK(variable(web.env, "PM2_SERVE_SPA") == "true");
  CHECK(other.name == "static-page-server-8080");
  CHECK(other.listen == StringList{"tcp://[::1]:8080"});
  CHECK(variable(other.env, "PM2_SERVE_BASIC_AUTH_PASSWORD") == "p");
}

TEST_CASE("static goes with a file that is one app, with apps by name, and alone") {
  World w;
  CHECK(w.load(R"({"name": "a", "script": "sleep", "static": [{"path": "site"}]})").apps.size() == 2);
  CHECK(w.load(R"({"apps": {"a": {"script": "sleep"}}, "static": [{"path": "site"}]})").apps.size() == 2);
  CHECK(w.load(R"({"apps": {"name": "a", "script": "sleep"}, "static": [{"path": "site"}]})").apps.size() ==
        2);
  CHECK(w.load(R"({"static": {"path": "site"}})").apps.size() == 1);
  CHECK(w.load(R"({"static": [7]})").failed);
  const auto names =
      names_in(w.folder.write("eco.config.json", R"({"static": [{"path": "site", "port": 9}]})"), w.context);
  REQUIRE(names);
  CHECK(*names == std::vector<std::string>{"static-page-server-9"});
}

TEST_CASE("script serve is the server, unless it has arguments or is a file of the user's") {
  World w;
  const std::string file = R"({"apps": [{"script": "serve", "env": {"PM2_SERVE_PATH": "site"}}]})";
  const Loaded loaded = w.load(file);
  REQUIRE_MESSAGE(loaded.apps.size() == 1, problem(loaded));
  CHECK(loaded.apps[0].name == "serve");
  CHECK(loaded.apps[0].script == w.context.serve_program);
  CHECK(w.load(R"({"apps": [{"script": "serve", "args": "-s build"}]})").failed);
  const std::string own = w.folder.write("serve", "#!/bin/sh\n", true);
  CHECK(w.load(file).apps[0].script == own);
  CHECK(w.load(R"({"apps": [{"name": "old", "script": "/usr/lib/node_modules/pm2/lib/API/Serve.js"}]})")
            .apps[0]
            .script == w.context.serve_program);
}

TEST_CASE("the app's settings win over the caller's, whichever of the two names they have") {
  World w;
  w.context.environment.emplace_back("TEND_SERVE_PORT", "1");
  w.context.environment.emplace_back("TEND_SERVE_SPA", "true");
  const std::string file = R"({"static": [{"path": "site", "port": 82, "spa": false}]})";
  CHECK(w.load(file).apps[0].listen == StringList{"tcp://0.0.0.0:82"});
  CHECK(w.value(file, "TEND_SERVE_PORT") == "82");
  CHECK(w.value(file, "TEND_SERVE_SPA") == "false");
  CHECK(w.load(R"({"static": [{"path": "site"}]})").apps[0].listen == StringList{"tcp://0.0.0.0:1"});
}

TEST_CASE("what the server would refuse is told before anything starts") {
  World w;
  CHECK(
      problem(w.load(R"({"static": [{"path": "none"}]})")).find("path: found " + w.folder.path() + "/none") !=
      std::string::npos);
  CHECK(problem(w.load(R"({"static": [{"path": "site", "port": 0}]})")).find("port: found 0") !=
        std::string::npos);
  CHECK(problem(w.load(R"({"static": [{"path": "site", "spa": "maybe"}]})")).find("SERVE_SPA: found maybe") !=
        std::string::npos);
  CHECK(problem(w.load(R"({"static": [{"path": "site", "basic_auth": {"username": "u"}}]})"))
            .find("a name without a password") != std::string::npos);
  w.context.serve_program = "/no/tend-serve";
  CHECK(problem(w.load(R"({"static": [{"path": "site"}]})")).find("no /no/tend-serve") != std::string::npos);
}

TEST_CASE("every origin may read under pm2, under tend when it is asked for") {
  World tend, pm2(true);
  const std::string file = R"({"static": [{"path": "site"}]})";
  CHECK(variable(tend.load(file).apps[0].env, "TEND_SERVE_CORS") == "(none)");
  CHECK(variable(pm2.load(file).apps[0].env, "TEND_SERVE_CORS") == "true");
  CHECK(variable(tend.load(R"({"static": [{"path": "site", "cors": true}]})").apps[0].env,
                 "TEND_SERVE_CORS") == "true");
}
