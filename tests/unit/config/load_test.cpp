#include "core/model/options.h"
#include "tests/unit/config/support.h"

using namespace tend;
using namespace tend::config;

namespace {

std::string names(const Loaded& loaded) {
  std::string text;
  for (const AppSpec& spec : loaded.apps) text += (text.empty() ? "" : " ") + spec.name;
  return text;
}

Loaded load(const Folder& folder, const std::string& file, const std::string& text, bool pm2 = false) {
  folder.write("a.js", "");
  folder.write(file, text);
  return load_file(file, caller(folder.path(), pm2));
}

}  // namespace

TEST_CASE("a word is a file of apps by the end of its name, under pm2 by any part") {
  for (const char* word :
       {"a.json", "x/p.yml", "p.yaml", "e.config.js", "e.config.cjs", "e.config.mjs", "package.json", "-"}) {
    CHECK_MESSAGE((is_config_file(word, false) && is_config_file(word, true)), std::string(word));
  }
  for (const char* word : {"process.js", "app.mjs", "json", "api", ""}) {
    CHECK_MESSAGE((!is_config_file(word, false) && !is_config_file(word, true)), std::string(word));
  }
  CHECK_FALSE(is_config_file("my.json-api/app.js", false));
  CHECK(is_config_file("my.json-api/app.js", true));
}

TEST_CASE("apps are found in every shape of the root") {
  const Folder f;
  CHECK(names(load(f, "1.json", "{apps:[{name:'a',script:'a.js'},{script:'a.js'}]}")) == "a a");
  CHECK(names(load(f, "2.json", "{apps:{name:'b',script:'a.js'}}")) == "b");
  CHECK(names(load(f, "3.json", "{apps:{x:{script:'a.js'},y:{script:'a.js',name:'z'}}}")) == "x z");
  CHECK(names(load(f, "4.json", "{name:'pkg',version:'1',pm2:[{name:'c',script:'a.js'}]}")) == "c");
  CHECK(names(load(f, "5.json", "{pm2:{apps:[{name:'d',script:'a.js'}]}}")) == "d");
  CHECK(names(load(f, "6.json", "[{name:'e',script:'a.js'}]")) == "e");
  CHECK(names(load(f, "7.json", "{name:'f',script:'a.js'}")) == "f");
  CHECK_FALSE(load(f, "8.json", "{apps:[]}").failed);
  CHECK(load(f, "9.json", "{apps:7}").failed);
  CHECK(load(f, "10.json", "7").failed);
  CHECK(load(f, "11.json", "[7]").failed);
  const std::string package = "{name:'x',version:'1.0.0',scripts:{start:'y'}}";
  CHECK(load(f, "package.json", package, true).problems.back().pm2_text ==
        "Error: No script path - aborting");
  CHECK(messages(load(f, "package.json", package)).find("a package without apps") != std::string::npos);
}

TEST_CASE("a wrong field is named by file, line, app, value and what is accepted, and nothing starts") {
  const Folder f;
  const Loaded loaded =
      load(f, "eco.json", "[\n{name:'ok',script:'a.js'},\n{name:'api',script:'a.js',\nexec_mode:'clutser'}]");
  CHECK(messages(loaded) ==
        "! eco.json:4: app \"api\": exec_mode: found \"clutser\"; accepted: fork|cluster\n");
  CHECK(loaded.failed);
  CHECK(loaded.apps.empty());
  CHECK(messages(load(f, "e2.json", "[{script:'a.js',nice:99}]")) ==
        "! e2.json:1: app #0: nice: found 99; accepted: -20..19\n");
}

TEST_CASE("of two spellings of a field the one that PM2 prefers counts, wherever it stands") {
  const Folder f;
  const char* both[] = {
      "[{script:'a.js',exec:'cluster',error_file:'1',err_log:'2',err:'3',interpreter:'sh',exec_interpreter:'"
      "none'}]",
      "[{exec_interpreter:'none',interpreter:'sh',err:'3',err_log:'2',error_file:'1',exec:'cluster',script:'"
      "a.js'}]"};
  for (const char* text : both) {
    for (const bool pm2 : {false, true}) {
      const Loaded loaded = load(f, "e.json", text, pm2);
      REQUIRE(loaded.apps.size() == 1);
      const AppSpec& spec = loaded.apps[0];
      CHECK(spec.script == f.path() + "/a.js");
      CHECK(spec.error_file == f.path() + "/1");
      CHECK(spec.interpreter == "none");
      CHECK((messages(loaded).find("exec: not used; script says it") != std::string::npos) == !pm2);
    }
  }
  CHECK(load(f, "o.json", "[{output:'2',out_log:'1',script:'a.js'}]").apps[0].out_file == f.path() + "/1");
}

TEST_CASE("--only picks by name, with blanks around commas") {
  const Folder f;
  f.write("a.js", "");
  f.write("e.json", "[{name:'a b',script:'a.js'},{name:'c',script:'gone.js'},{name:'d',script:'a.js'}]");
  Context context = caller(f.path(), false);
  context.only = {" a b , d "};
  CHECK(names(load_file("e.json", context)) == "a b d");
  context.only = {"nobody"};
  CHECK(load_file("e.json", context).apps.empty());
  CHECK_FALSE(load_file("e.json", context).failed);
  context.only = {"c"};
  CHECK(names_in("e.json", context).value() == StringList{"c"});
}

TEST_CASE("--env lays env_name over env, with numbers as text and PORT from port") {
  const Folder f;
  f.write("a.js", "");
  f.write(
      "e.json",
      "{apps:[{name:'a',script:'a.js',port:81,append_env_to_name:true,env:{A:1,B:2},env_prod:{B:3.5,C:null}},"
      "{name:'b',script:'a.js',port:80}],deploy:{prod:{env:{A:0,D:4}}}}");
  Context context = caller(f.path(), false);
  context.env_name = "prod";
  const Loaded loaded = load_file("e.json", context);
  REQUIRE(loaded.apps.size() == 2);
  CHECK(loaded.apps[0].name == "a-prod");
  CHECK(loaded.apps[0].env == Env{{"A", "0"}, {"B", "3.5"}, {"D", "4"}, {"C", "null"}, {"PORT", "81"}});
  CHECK(variable(loaded.apps[1].env, "PORT") == "80");
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].pm2_text == "Environment [prod] is not defined in process file");
  CHECK(names_in("e.json", context).value() == StringList{"a-prod", "b"});
}

TEST_CASE("PM2's flags reach a file's apps, others are warned of") {
  const Folder f;
  f.write("sub/a.js", "");
  f.write("e.json", "[{script:'a.js',namespace:'own'},{script:'a.js'}]");
  AppSpec flags;
  REQUIRE(assign(flags, *find_option("cwd"), "sub"));
  REQUIRE(assign(flags, *find_option("namespace"), "other"));
  REQUIRE(assign(flags, *find_option("name"), "n"));
  const Loaded loaded = load_file("e.json", caller(f.path(), false), flags);
  REQUIRE(loaded.apps.size() == 2);
  CHECK(loaded.apps[0].cwd == f.path() + "/sub");
  CHECK(loaded.apps[0].name_space == "own");
  CHECK(loaded.apps[1].name_space == "other");
  CHECK(loaded.apps[1].name == "a");
  CHECK(messages(loaded) == "? -n,--name: ignored with a file of apps\n");
}

TEST_CASE("37: files that are absent, huge or no files are refused") {
  const Folder f;
  CHECK(load_file("none.json", caller(f.path(), true)).problems[0].pm2_text == "File none.json not found");
  CHECK(load_file("none.config.js", caller(f.path(), true)).problems[0].pm2_text ==
        "File none.config.js not found");
  const std::string big = f.write("big.json", "");
  std::filesystem::resize_file(big, 100u << 20);
  CHECK(messages(load_file("big.json", caller(f.path(), false))).find("larger than 16 MiB") !=
        std::string::npos);
  std::filesystem::create_directory(f.path() + "/d.json");
  CHECK(load_file("d.json", caller(f.path(), false)).failed);
}

TEST_CASE("38: JavaScript may print, be a module, a function or a promise, and its errors say where") {
  const Folder f;
  CHECK(names(load(
            f, "1.config.js",
            "console.log('noise');module.exports={apps:[{name:'a',script:'a.js',env:{U:undefined}}]}")) ==
        "a");
  CHECK(names(load(f, "2.config.mjs", "export default {apps:[{name:'b',script:'a.js'}]}")) == "b");
  CHECK(names(load(f, "3.config.mjs", "export const apps=[{name:'c',script:'a.js'}]", true)) == "c");
  CHECK(names(load(f, "4.config.js",
                   "module.exports=async()=>[{name:'d',script:'a.js',ignore_watch:[/x\\/y/]}]")) == "d");
  CHECK(load(f, "5.config.js", "module.exports=()=>[]", true)
            .problems[0]
            .pm2_text.starts_with("File 5.config.js malformated\n5.config.js: "));
  CHECK(messages(load(f, "6.config.js", "\nthrow new Error('oops')")).find("6.config.js:2:7: Error: oops") !=
        std::string::npos);
  CHECK(messages(load(f, "7.config.js", "\n\nlet x = ;")).find("7.config.js:3: SyntaxError") !=
        std::string::npos);
  CHECK(load(f, "8.config.js", "process.exit(0)").failed);
  CHECK(load(f, "9.config.js", "module.exports={apps:[{name:'x'.repeat(17<<20)}]}").failed);
}

TEST_CASE("node is not asked to read JSON or YAML") {
  const Folder f;
  f.write("a.sh", "");
  f.write("e.yml", "apps:\n - script: a.sh\n   interpreter: none\n");
  Context context = caller(f.path(), false);
  context.environment = {{"PATH", f.path()}};
  CHECK(names(load_file("e.yml", context)) == "a");
  f.write("e.config.js", "");
  CHECK(messages(load_file("e.config.js", context)).find("node is not in PATH") != std::string::npos);
}
