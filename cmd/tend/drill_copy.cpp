#include "cmd/tend/drill_copy.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "cmd/tend/daemon_start.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "ipc/rpc_client.h"

namespace tend::cli {
namespace {

constexpr Millis kAnswer{120'000};
constexpr std::size_t kMostLog = 1u << 20;

// Words that name the moved address in the place of the app's own; "" stays what it is.
Value moved(const Value& listen, uint16_t port) {
  const std::string there = "127.0.0.1:" + std::to_string(port);
  if (listen.is<List>()) return listen.list().empty() ? listen : Value(List{there});
  return listen.text().empty() ? listen : Value(there);
}

}  // namespace

Result<DrillCopy> DrillCopy::make(CopyOf what) {
  const char* temporary = std::getenv("TMPDIR");
  std::string dir =
      std::string(temporary != nullptr && *temporary == '/' ? temporary : "/tmp") + "/tend-drill-XXXXXX";
  if (::mkdtemp(dir.data()) == nullptr) return fail_errno("make " + dir);
  const Home home{dir, false};
  auto keeper = start_owned_daemon(home, Console::quiet);
  if (!keeper) {
    std::error_code ignored;
    std::filesystem::remove_all(dir, ignored);
    return tl::unexpected<Error>(keeper.error());
  }
  return DrillCopy(std::move(what), home, *keeper);
}

DrillCopy::DrillCopy(DrillCopy&& other) noexcept
    : what_(std::move(other.what_)),
      home_(std::move(other.home_)),
      keeper_(std::exchange(other.keeper_, 0)) {}

DrillCopy::~DrillCopy() {
  if (keeper_ == 0) return;
  ::kill(keeper_, SIGTERM);
  ::waitpid(keeper_, nullptr, 0);
  std::error_code ignored;
  std::filesystem::remove_all(home_.dir, ignored);
}

Result<Value> DrillCopy::ask(std::string_view method, const Map& params) {
  auto client = ipc::RpcClient::connect(home_.socket());
  if (!client) return tl::unexpected<Error>(client.error());
  return client->call(method, params, kAnswer);
}

Status DrillCopy::start(const std::string& name, uint16_t port, bool once) {
  List items = what_.items;
  for (Value& item : items) {
    Map* saved = item.as<Map>();
    Map* app = saved == nullptr ? nullptr : (*saved)["app"].as<Map>();
    Map* spec = app == nullptr ? nullptr : (*app)["spec"].as<Map>();
    if (spec == nullptr) return fail("the app's description cannot be read");
    saved->set("wanted", true);
    spec->set("name", name);
    spec->set("out_file", home_.logs() + "/" + name + "-out.log");
    spec->set("error_file", home_.logs() + "/" + name + "-error.log");
    spec->set("log_file", "");
    spec->set("pid_file", home_.pids() + "/" + name + ".pid");
    spec->set("watch", false);
    spec->set("cron_restart", "");
    if (once) spec->set("autorestart", false);
    if (const Value* listen = spec->find("listen")) spec->set("listen", moved(*listen, port));
    Map env = item.at("app").at("spec").at("env").map();
    env.set(what_.port_variable, std::to_string(port));
    spec->set("env", std::move(env));
    if (spec->find("port") != nullptr) spec->set("port", static_cast<int64_t>(port));
  }
  auto reply = ask(api::kResurrect, Map{{"apps", std::move(items)}, {"more", true}, {"cause", "tend drill"}});
  if (!reply) return tl::unexpected<Error>(reply.error());
  for (const Value& outcome : reply->at("results").list())
    if (!outcome.at("ok").boolean()) return fail(outcome.at("error").text());
  return {};
}

Status DrillCopy::act(std::string_view verb, const std::string& name, Map changes) {
  Map params{{"verb", verb}, {"targets", List{name}}, {"cwd", "/"}, {"cause", "tend drill"}};
  if (!changes.empty()) params.set("changes", std::move(changes));
  auto reply = ask(api::kAct, params);
  if (!reply) return tl::unexpected<Error>(reply.error());
  for (const Value& outcome : reply->at("results").list())
    if (!outcome.at("ok").boolean()) return fail(outcome.at("error").text());
  return {};
}

List DrillCopy::rows(const std::string& name) {
  List mine;
  const auto reply = ask(api::kList, Map{{"detail", "full"}, {"cwd", "/"}});
  if (!reply) return mine;
  for (const Value& row : reply->at("apps").list())
    if (row.at("name").text() == name) mine.push_back(row);
  return mine;
}

std::string DrillCopy::log_end(const std::string& name) {
  std::string found;
  std::error_code ignored;
  for (const auto& file : std::filesystem::directory_iterator(home_.logs(), ignored)) {
    if (!file.path().filename().string().starts_with(name + "-error")) continue;
    const auto text = read_file(file.path().string(), kMostLog);
    if (!text) continue;
    // The line that says what it was; around it there is often a page of where.
    for (const auto& line : split(*text, '\n'))
      if (line.find("Error: ") != std::string::npos ||
          (found.empty() && line.find("rror") != std::string::npos))
        found = line;
  }
  return found.substr(0, 200);
}

}  // namespace tend::cli
