#include "core/model/options.h"

#include <doctest/doctest.h>

#include <map>
#include <set>

#include "core/base/text.h"
#include "core/model/words.h"

using namespace tend;

namespace {

const OptionRow& row(std::string_view name) {
  const OptionRow* found = find_option(name);
  REQUIRE_MESSAGE(found != nullptr, std::string(name));
  return *found;
}

// A value other than the default that the row takes.
Value sample(const OptionRow& r) {
  static const std::map<std::string_view, Value> kSpecial = {{"exec_mode", "cluster"},
                                                             {"cron_restart", "*/5 * * * *"},
                                                             {"kill_signal", "SIGTERM"},
                                                             {"ready_timeout", "online"},
                                                             {"cron_timezone", "Europe/Berlin"},
                                                             {"memory_scope", "tree"},
                                                             {"balance", "rr"},
                                                             {"umask", 18},
                                                             {"limit_cpu", "1.5"},
                                                             {"watch", List{"a b", "c"}},
                                                             {"watch_options", Map{{"x", true}}},
                                                             {"post_update", List{"npm install"}},
                                                             {"filter_env", List{"SECRET"}},
                                                             {"stop_exit_codes", List{0, 143}},
                                                             {"heartbeat", "on"},
                                                             {"heartbeat_interval", 200},
                                                             {"heartbeat_action", "signal:SIGABRT"},
                                                             {"autopsy", "kernel"},
                                                             {"probe_for", "liveness"},
                                                             {"probe_interval", 200},
                                                             {"probe_action", "report"}};
  if (const auto it = kSpecial.find(r.key); it != kSpecial.end()) return it->second;
  const AppSpec fresh;
  return std::visit(
      [&](auto member) -> Value {
        using T = std::decay_t<decltype(fresh.*member)>;
        if constexpr (std::is_same_v<T, bool>) return !(fresh.*member);
        if constexpr (std::is_same_v<T, std::string>) return "x y";
        if constexpr (std::is_same_v<T, StringList>) return List{"--a=b c", "", "\"q\""};
        if constexpr (std::is_same_v<T, Env>) return Map{{"A", "1"}, {"B", ""}};
        return 7;
      },
      r.slot);
}

std::string accepted(std::string_view name, Value v) {
  AppSpec spec;
  const auto done = assign(spec, row(name), v);
  return done ? "" : "found " + done.error().found + "; accepted: " + done.error().accepted;
}

}  // namespace

TEST_CASE("every name, alias and flag of the option table belongs to one row") {
  std::set<std::string> names, flags;
  for (const OptionRow& r : options()) {
    CHECK_MESSAGE(names.insert(std::string(r.key)).second, std::string(r.key));
    for (const std::string& alias : split(r.aliases, ' ')) {
      if (!alias.empty()) CHECK_MESSAGE(names.insert(alias).second, alias);
    }
    for (const std::string& flag : split(r.flag, ',')) {
      if (!flag.empty()) CHECK_MESSAGE(flags.insert(flag).second, flag);
      CHECK((flag.empty() || flag.starts_with("-")));
    }
  }
}

TEST_CASE("help is one line that ends in a full stop") {
  for (const OptionRow& r : options()) {
    CHECK_MESSAGE((!r.help.empty() && r.help.back() == '.' && r.help.size() < 90), std::string(r.key));
    CHECK(r.help.find('\n') == std::string_view::npos);
  }
}

TEST_CASE("each default passes its own check") {
  const AppSpec fresh;
  for (const OptionRow& r : options()) {
    AppSpec spec;
    CHECK_MESSAGE(assign(spec, r, get(fresh, r)).has_value(), std::string(r.key));
    CHECK(get(spec, r) == get(fresh, r));
  }
}

TEST_CASE("what get gives, assign takes back unchanged, for every row") {
  for (const OptionRow& r : options()) {
    AppSpec a, b;
    const auto first = assign(a, r, sample(r));
    REQUIRE_MESSAGE(first.has_value(), std::string(r.key));
    CHECK_MESSAGE(get(a, r) != get(AppSpec{}, r), std::string(r.key));
    REQUIRE(assign(b, r, get(a, r)).has_value());
    CHECK_MESSAGE(get(b, r) == get(a, r), std::string(r.key));
    CHECK((b.given == a.given));
    CHECK(a.given.count() == 1);
    CHECK_MESSAGE(!show(a, r).empty(), std::string(r.key));
  }
}

TEST_CASE("a spec survives its value form with what was given and what was computed") {
  AppSpec spec;
  std::size_t n = 0;
  for (const OptionRow& r : options()) {
    if (n++ % 3 == 2) continue;
    REQUIRE(assign(spec, r, sample(r)).has_value());
    if (n % 3 == 0) continue;
    if (n % 2 == 0) {
      spec.given.reset(index_of(r));
      spec.resolved.set(index_of(r));
    }
  }
  spec.extra = Map{{"env_prod", Map{{"A", 1}}}};
  const auto back = spec_from_value(to_value(spec));
  REQUIRE(back.has_value());
  CHECK((back->given == spec.given));
  CHECK((back->resolved == spec.resolved));
  CHECK(spec.resolved.any());
  CHECK(to_value(*back) == to_value(spec));
  CHECK(back->extra == spec.extra);
  CHECK(to_value(AppSpec{}) == Value(Map{}));
}

TEST_CASE("the value form of a newer version is read, and a wrong value is refused") {
  CHECK(spec_from_value(Map{{"name", "a"}, {"from_the_future", 1}})->name == "a");
  CHECK(spec_from_value(Map{{"instances", "many"}}).error().message ==
        "instances: found \"many\"; accepted: max|-10000..10000");
  CHECK_FALSE(spec_from_value(List{}).has_value());
}

TEST_CASE("PM2's aliases and camelCase find their row") {
  for (const auto& [alias, key] :
       std::map<std::string_view, std::string_view>{{"exec", "script"},
                                                    {"cmd", "script"},
                                                    {"exec_interpreter", "interpreter"},
                                                    {"execInterpreter", "interpreter"},
                                                    {"interpreterArgs", "node_args"},
                                                    {"out", "out_file"},
                                                    {"out_log", "out_file"},
                                                    {"err", "error_file"},
                                                    {"err_file", "error_file"},
                                                    {"log", "log_file"},
                                                    {"pid", "pid_file"},
                                                    {"combine_logs", "merge_logs"},
                                                    {"cron", "cron_restart"},
                                                    {"user", "uid"},
                                                    {"maxMemoryRestart", "max_memory_restart"},
                                                    {"namespace", "namespace"},
                                                    {"execMode", "exec_mode"}}) {
    const std::string spelling(alias);
    CHECK_MESSAGE(row(spelling).key == key, spelling);
  }
  CHECK(find_option("scripts") == nullptr);
  CHECK(find_option("") == nullptr);
}

TEST_CASE("a misspelt option is answered with its nearest name") {
  CHECK(nearest_option("scripts") == "script");
  CHECK(nearest_option("max_restart") == "max_restarts");
  CHECK(nearest_option("instance") == "instances");
  CHECK(nearest_option("health_check_url") == "");
}

TEST_CASE("units and their ranges are checked, whatever their spelling") {
  AppSpec spec;
  REQUIRE(assign(spec, row("kill_timeout"), "1.5s"));
  CHECK(spec.kill_timeout == Millis{1500});
  REQUIRE(assign(spec, row("kill_timeout"), "1600"));
  CHECK(spec.kill_timeout == Millis{1600});
  REQUIRE(assign(spec, row("max_memory_restart"), "1GB"));
  CHECK(show(spec, row("max_memory_restart")) == "1G");
  for (const Value& v :
       {Value("5 parsecs"), Value(-1), Value("30d"), Value(true), Value(""), Value(1e300), Value(List{})}) {
    CHECK_MESSAGE(!accepted("kill_timeout", v).empty(), json_text(v));
  }
  CHECK(accepted("nice", 20) == "found 20; accepted: -20..19");
  CHECK(accepted("exec_mode", "clutser") == "found \"clutser\"; accepted: fork|cluster");
  CHECK(accepted("exec_mode", "cluster_mode").empty());
  CHECK_FALSE(accepted("exec_mode", "_mode").empty());
  CHECK_FALSE(accepted("autorestart", 1).empty());
  CHECK_FALSE(accepted("instances", "4,").empty());
  CHECK_FALSE(accepted("instances", 1.5).empty());
  CHECK_FALSE(accepted("stop_exit_codes", List{0, 256}).empty());
  CHECK_FALSE(accepted("cron_restart", "0 3 * *").empty());
  CHECK_FALSE(accepted("env", ".env").empty());
  CHECK_FALSE(accepted("env", Map{{"A=B", 1}}).empty());
  CHECK_FALSE(accepted("script", std::string("a\0b", 3)).empty());
}

TEST_CASE("a wrong value is shown short and without control characters") {
  const std::string text = accepted("exec_mode", "\x1b[31m" + std::string(500, 'x'));
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.size() < 150);
}

TEST_CASE("values of several types mean what PM2's users mean") {
  AppSpec spec;
  REQUIRE(assign(spec, row("instances"), "max"));
  CHECK(spec.instances == 0);
  REQUIRE(assign(spec, row("umask"), "022"));
  CHECK(spec.umask == 18);
  CHECK(show(spec, row("umask")) == "0022");
  REQUIRE(assign(spec, row("cron_restart"), 0));
  CHECK(spec.cron_restart.empty());
  REQUIRE(assign(spec, row("log_file"), true));
  CHECK(spec.log_file == "true");
  REQUIRE(assign(spec, row("log_file"), false));
  CHECK(spec.log_file.empty());
  REQUIRE(assign(spec, row("stop_exit_codes"), "0, 3"));
  CHECK(spec.stop_exit_codes == IntList{0, 3});
  REQUIRE(assign(spec, row("cpu_affinity"), "0,2-4 7"));
  CHECK(spec.cpu_affinity == IntList{0, 2, 3, 4, 7});
  for (const char* wrong : {"4-2", "1-", "-1", "1--2", "2-x", "0-5000"})
    CHECK_FALSE(assign(spec, row("cpu_affinity"), wrong));
  REQUIRE(assign(spec, row("uid"), 1000));
  CHECK(spec.uid == "1000");
  REQUIRE(assign(spec, row("watch"), "src lib"));
  CHECK(spec.watch == Value(List{"src", "lib"}));
  REQUIRE(assign(spec, row("env"),
                 Map{{"N", 3000}, {"F", 1.5}, {"B", false}, {"Z", nullptr}, {"O", Map{{"a", List{1}}}}}));
  CHECK(spec.env == Env{{"N", "3000"}, {"F", "1.5"}, {"B", "false"}, {"Z", "null"}, {"O", "{\"a\":[1]}"}});
}
