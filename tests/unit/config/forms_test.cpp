// Spellings that real files have: what PM2 refuses and tend understands, and where both agree.
#include "core/model/env.h"
#include "core/model/options.h"
#include "tests/unit/config/support.h"

using namespace tend;
using namespace tend::config;

namespace {

Loaded load(const Folder& folder, const std::string& file, const std::string& text, bool pm2 = false) {
  folder.write("a.js", "");
  folder.write(file, text);
  return load_file(file, caller(folder.path(), pm2));
}

AppSpec one(const Loaded& loaded) {
  INFO(messages(loaded));
  REQUIRE(loaded.apps.size() == 1);
  return loaded.apps[0];
}

}  // namespace

TEST_CASE("JavaScript forms that PM2 refuses are understood by tend") {
  const Folder f;
  f.write("package.json", R"({"type": "module"})");
  const std::pair<const char*, const char*> forms[] = {
      {"cjs.config.js", "module.exports = { apps: [{ name: 'x', script: 'a.js' }] }"},
      {"path.config.js",
       "const p = require('path'); module.exports = { name: 'x', script: p.join(__dirname, 'a.js') }"},
      {"fn.config.cjs", "module.exports = async () => ({ apps: [{ name: 'x', script: 'a.js' }] })"},
      {"default.config.mjs", "export default { apps: [{ name: 'x', script: 'a.js' }] }"},
      {"old.config.mjs", "module.exports = { apps: [{ name: 'x', script: 'a.js' }] }"},
      {"json.config.js", "{ \"apps\": [{ \"name\": \"x\", \"script\": \"a.js\" }] }"}};
  for (const auto& [file, text] : forms) {
    const std::string name(file);
    CAPTURE(name);
    CHECK(one(load(f, file, text)).name == "x");
    const Loaded refused = load(f, file, text, true);
    CHECK(refused.failed);
    CHECK(refused.apps.empty());
  }
  for (const bool pm2 : {false, true})
    CHECK(one(load(f, "named.config.mjs", "export const apps = [{ name: 'x', script: 'a.js' }]", pm2)).name ==
          "x");
}

TEST_CASE("an error inside a JavaScript file is still told as the file's own") {
  const Folder f;
  const Loaded loaded = load(f, "e.config.js", "module.exports = { apps: [{ name: nothing }] }");
  CHECK(messages(loaded).find("nothing is not defined") != std::string::npos);
}

TEST_CASE("numbers of instances in each spelling") {
  const Folder f;
  const std::pair<const char*, int64_t> spellings[] = {{"0", 4},   {"'max'", 4}, {"-1", 3}, {"'auto'", 4},
                                                       {"'4'", 4}, {"'2,'", 2},  {"2", 2}};
  for (const auto& [text, count] : spellings) {
    const std::string spelling(text);
    CAPTURE(spelling);
    CHECK(one(load(f, "i.json", std::string("{script:'a.js',instances:") + text + "}")).instances == count);
  }
}

TEST_CASE("an option in camelCase is the option") {
  const Folder f;
  const AppSpec spec = one(
      load(f, "c.json",
           "{script:'a.js',maxMemoryRestart:'1GB',mergeLogs:true,killTimeout:'5s',stopExitCodes:'[0, 3]'}"));
  CHECK(spec.max_memory_restart.n == 1073741824);
  CHECK(spec.merge_logs);
  CHECK(spec.kill_timeout.n == 5000);
  CHECK(spec.stop_exit_codes == IntList{0, 3});
}

TEST_CASE("options beside apps hold for each app under tend, and its own win") {
  const Folder f;
  const std::string text =
      "{restart_delay:'3s',env:{A:'d',B:'d'},name:'no',apps:[{name:'x',script:'a.js',restart_delay:1,env:{B:'"
      "own'}}, "
      "{name:'y',script:'a.js'}]}";
  const Loaded loaded = load(f, "d.json", text);
  REQUIRE(loaded.apps.size() == 2);
  CHECK(loaded.apps[0].restart_delay.n == 1);
  CHECK(variable(loaded.apps[0].env, "A") == "d");
  CHECK(variable(loaded.apps[0].env, "B") == "own");
  CHECK(loaded.apps[1].name == "y");
  CHECK(loaded.apps[1].restart_delay.n == 3000);
  CHECK(variable(loaded.apps[1].env, "B") == "d");
  CHECK(load(f, "d.json", text, true).apps[1].restart_delay.n == 0);
  CHECK(load(f, "package.json", text).apps[1].restart_delay.n == 0);
}

TEST_CASE("$NAME in a path is the caller's variable under tend, and one that is not there is an error") {
  const Folder f;
  f.write("sub/a.js", "");
  f.write("p.json", "{script:'$HERE/a.js',out_file:'${HERE}/x.log',cwd:'$HERE'}");
  Context context = caller(f.path(), false);
  context.environment.emplace_back("HERE", f.path() + "/sub");
  const AppSpec spec = one(load_file("p.json", context));
  CHECK(spec.script == f.path() + "/sub/a.js");
  CHECK(spec.out_file == f.path() + "/sub/x.log");
  CHECK(spec.cwd == f.path() + "/sub");
  CHECK(messages(load(f, "q.json", "{script:'a.js',cwd:'$TEND_NOT_SET'}")) ==
        "! q.json: app: cwd: found $TEND_NOT_SET, and the caller has no variable TEND_NOT_SET\n");
  CHECK(one(load(f, "r.json", "{script:'echo $TEND_NOT_SET'}")).args ==
        StringList{"-c", "echo $TEND_NOT_SET"});
}

TEST_CASE("filter_env true inherits nothing under tend; a text is one whole name under pm2") {
  const Folder f;
  CHECK_FALSE(one(load(f, "f.json", "{script:'a.js',filter_env:true}")).inherit_env);
  CHECK(one(load(f, "f.json", "{script:'a.js',filter_env:true}", true)).inherit_env);
  CHECK(one(load(f, "g.json", "{script:'a.js',filter_env:'KEY'}", true)).filter_env == StringList{"=KEY"});
  CHECK(one(load(f, "g.json", "{script:'a.js',filter_env:'KEY'}")).filter_env == StringList{"KEY"});
}

TEST_CASE("a variable knows which part of the file it is from") {
  const Folder f;
  f.write("a.js", "");
  f.write("o.json",
          "{apps:[{script:'a.js',port:7,env:{A:1,B:1},env_production:{B:2}}],"
          "deploy:{production:{env:{A:0,C:0}}}}");
  Context context = caller(f.path(), false);
  context.env_name = "production";
  const AppSpec spec = one(load_file("o.json", context));
  CHECK(spec.origins.at("A").text() == "deploy.production.env");  // PM2 7.0.4: above the app's own
  CHECK(*find_variable(spec.env, "A") == "0");
  CHECK(spec.origins.at("B").text() == "env_production");
  CHECK(spec.origins.at("C").text() == "deploy.production.env");
  CHECK(spec.origins.at("PORT").text() == "port");
  CHECK(spec.source == f.path() + "/o.json");
  const auto back = spec_from_value(to_value(spec));
  REQUIRE(back);
  CHECK(back->source == spec.source);
  CHECK(back->origins == spec.origins);
}
