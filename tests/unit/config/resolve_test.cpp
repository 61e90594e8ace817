#include "core/model/options.h"
#include "tests/unit/config/support.h"

using namespace tend;
using namespace tend::config;

namespace {

struct Given {
  std::string_view key;
  Value value;
};

AppSpec spec_of(const std::vector<Given>& given) {
  AppSpec spec;
  for (const Given& g : given) REQUIRE(assign(spec, *find_option(g.key), g.value).has_value());
  return spec;
}

AppSpec resolved(const Context& context, const std::vector<Given>& given) {
  AppSpec spec = spec_of(given);
  const auto done = resolve(spec, context);
  REQUIRE_MESSAGE(done.has_value(), (done ? "" : done.error().message));
  return spec;
}

std::string mode(const Context& context, const std::vector<Given>& given) {
  const AppSpec spec = resolved(context, given);
  return spec.exec_mode + ' ' + std::to_string(spec.instances) + (spec.merge_logs ? " merged" : "");
}

}  // namespace

TEST_CASE("mode, count and merged logs follow what was declared") {
  const Folder f;
  f.write("a.js", "");
  f.write("a.sh", "");
  const Context c = caller(f.path(), false);
  CHECK(mode(c, {{"script", "a.js"}}) == "fork 1 merged");
  CHECK(mode(c, {{"script", "a.js"}, {"instances", 1}}) == "cluster 1");
  CHECK(mode(c, {{"script", "a.js"}, {"instances", "max"}}) == "cluster 4 merged");
  CHECK(mode(c, {{"script", "a.js"}, {"instances", -1}}) == "cluster 3");
  CHECK(mode(c, {{"script", "a.js"}, {"instances", -9}}) == "fork 1");
  CHECK(mode(c, {{"script", "a.sh"}, {"instances", 2}}) == "fork 2");
  CHECK(mode(c, {{"script", "a.js"}, {"instances", 2}, {"exec_mode", "fork_mode"}}) == "fork 2");
  CHECK(mode(c, {{"script", "a.js"}, {"exec_mode", "cluster"}}) == "cluster 1");
  CHECK(mode(c, {{"script", "a.js"}, {"instances", 2}, {"execute_command", true}}) == "fork 2");
}

TEST_CASE("only what the user gave counts as given") {
  const Folder f;
  f.write("a.js", "");
  const AppSpec spec = resolved(caller(f.path(), false), {{"script", "a.js"}, {"time", true}});
  CHECK(spec.given.count() == 2);
  CHECK((spec.given & spec.resolved).none());
  CHECK(spec.resolved[index_of(*find_option("merge_logs"))]);
  CHECK_FALSE(spec.resolved[index_of(*find_option("kill_timeout"))]);
  CHECK(spec.log_date_format == "YYYY-MM-DDTHH:mm:ss");
  CHECK(spec_from_value(to_value(spec))->script == f.path() + "/a.js");
}

TEST_CASE("an interpreter comes from the extension, the #! line or the content") {
  const Folder f;
  const Context own = caller(f.path(), false), pm2 = caller(f.path(), true);
  f.write("a.sh", "");
  f.write("a.py", "");
  f.write("wrapper", "#!/bin/sh\n", true);
  f.write("unmarked", "#!/usr/bin/env -S bash -e\n");
  f.write("tool", "#!/usr/bin/env node\n", true);
  f.write("text", "console.log(1)\n");
  f.write("native",
          std::string("\x7f"
                      "ELF\0\0",
                      6),
          true);
  CHECK(resolved(own, {{"script", "a.sh"}}).interpreter == "bash");
  const AppSpec python = resolved(own, {{"script", "a.py"}});
  CHECK(python.interpreter.starts_with("python"));
  CHECK(variable(python.env, "PYTHONUNBUFFERED") == "1");
  CHECK(resolved(own, {{"script", "wrapper"}}).interpreter == "none");
  CHECK(resolved(pm2, {{"script", "wrapper"}}).interpreter.ends_with("/node"));
  CHECK(resolved(own, {{"script", "unmarked"}}).interpreter == "bash");
  CHECK(resolved(own, {{"script", "tool"}}).interpreter.ends_with("/node"));
  CHECK(resolved(own, {{"script", "text"}}).interpreter.ends_with("/node"));
  CHECK(resolved(own, {{"script", "native"}}).interpreter == "none");
  CHECK(resolved(pm2, {{"script", "native"}}).interpreter == "none");
  CHECK(resolved(own, {{"script", "."}}).interpreter.ends_with("/node"));
  CHECK(resolved(own, {{"script", "a.sh"}, {"interpreter", "/bin/sh"}}).interpreter == "/bin/sh");
  AppSpec missing = spec_of({{"script", "a.sh"}, {"interpreter", "nopyx"}});
  CHECK(resolve(missing, own).error().pm2_text ==
        "Error: Interpreter nopyx is NOT AVAILABLE in PATH. (type 'which nopyx' to double check.)");
}

TEST_CASE("a word with blanks that is no file is a line for the shell") {
  const Folder f;
  f.write("with blank.sh", "");
  const Context own = caller(f.path(), false), pm2 = caller(f.path(), true);
  const auto flags = spec_of({{"args", List{"--port", "1"}}});
  const Loaded loaded = from_script("python3 -m http.server", AppSpec{}, own);
  REQUIRE(loaded.apps.size() == 1);
  CHECK(loaded.apps[0].interpreter == "none");
  CHECK(loaded.apps[0].script.ends_with("/bash"));
  CHECK(loaded.apps[0].args == StringList{"-c", "python3 -m http.server"});
  CHECK(loaded.apps[0].name == "python3 -m http");
  CHECK(loaded.apps[0].exec_mode == "fork");
  CHECK(from_script("x y", flags, pm2).apps.at(0).args == StringList{"-c", "x y"});
  CHECK(from_script("x y", flags, own).apps.at(0).args ==
        StringList{"-c", "x y \"$@\"", "bash", "--port", "1"});
  CHECK(from_script("with blank.sh", AppSpec{}, own).apps.at(0).interpreter == "bash");
  CHECK(
      from_script("npm", spec_of({{"args", List{"start"}}}), own).apps.at(0).interpreter.ends_with("/node"));
  CHECK(from_script("gone", AppSpec{}, pm2).problems.at(0).pm2_text ==
        "Script not found: " + f.path() + "/gone");
  CHECK(from_script("", AppSpec{}, pm2).failed);
}

TEST_CASE("names of files lose what a shell or a path would understand") {
  const Folder f;
  f.write("a.js", "");
  const Context c = caller(f.path(), false);
  const AppSpec spec = resolved(c, {{"script", "a.js"}, {"name", "../$(x) `y`_é\xf0\x9f\x98\x80\n"}});
  CHECK(spec.out_file == "/home/someone/.tend/logs/..---x---y-------out.log");
  const AppSpec longest = resolved(c, {{"script", "a.js"}, {"name", std::string(255, 'x') + "\xc3\xa9"}});
  CHECK(longest.name == std::string(255, 'x'));
  CHECK(std::filesystem::path(longest.error_file).filename().string().size() < 240);
}

TEST_CASE("paths count from cwd, which counts from the caller's") {
  const Folder f;
  f.write("sub/a.js", "");
  const Context c = caller(f.path(), false);
  const AppSpec spec = resolved(c, {{"cwd", "sub/"},
                                    {"script", "./a.js"},
                                    {"out_file", "../o.log"},
                                    {"error_file", "NULL"},
                                    {"log_file", true},
                                    {"pid_file", "~/p"},
                                    {"instances", 2}});
  CHECK(spec.cwd == f.path() + "/sub");
  CHECK(spec.out_file == f.path() + "/o.log");
  CHECK(spec.error_file == "/dev/null");
  CHECK(spec.log_file == "/home/someone/.tend/logs/a.log");
  CHECK(spec.pid_file == "/home/someone/p");
  CHECK(instance_log_path(spec, spec.out_file, 3) == f.path() + "/o-3.log");
  CHECK(instance_log_path(spec, "/x/o-12.log", 3) == "/x/o-3.log");
  CHECK(instance_log_path(spec, "/dev/null", 3) == "/dev/null");
  CHECK(instance_pid_path(spec, 3) == "/home/someone/p-3");
  AppSpec gone = spec_of({{"script", "a.js"}, {"cwd", "/nonexistent"}});
  CHECK_FALSE(resolve(gone, c).has_value());
}

TEST_CASE("under pm2 an app that is never ready counts as online") {
  const Folder f;
  f.write("a.js", "");
  CHECK(resolved(caller(f.path(), true), {{"script", "a.js"}}).ready_timeout == "online");
  CHECK(resolved(caller(f.path(), false), {{"script", "a.js"}}).ready_timeout == "fail");
}
