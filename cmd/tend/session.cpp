#include "cmd/tend/session.h"

#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

#include "cmd/pm2/personality.h"
#include "cmd/tend/daemon_start.h"
#include "cmd/tend/progress.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/helper_linux.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "ipc/unix_connect.h"

namespace tend::cli {
namespace {

constexpr Millis kPatience{30'000};
constexpr Millis kGlance{200};
constexpr int kMostAttempts = 5;  // a request that ends each daemon is not sent to all of them
constexpr std::size_t kFlushAt = 1u << 16;

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // nobody reads any more: nothing to tell, nowhere to tell it
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

bool colours_on(const Caller& caller, int fd, bool refused) {
  if (refused) return false;
  return render::colours_wanted(::isatty(fd) == 1, caller.variable("NO_COLOR"),
                                caller.variable("FORCE_COLOR"), caller.variable("TERM"));
}

int cpu_count() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

bool muted(const Arguments& args, const Caller& caller, bool pm2) {
  return args.silent || (pm2 && caller.variable("PM2_SILENT") != nullptr);
}

Arguments with_silence(Arguments args, const Caller& caller, bool pm2) {
  args.silent = muted(args, caller, pm2);
  return args;
}

}  // namespace

Session::Session(Arguments arguments, Caller who, bool as_pm2)
    : args(with_silence(std::move(arguments), who, as_pm2)),
      caller(std::move(who)),
      pm2(as_pm2),
      home(home_of(caller, as_pm2)) {
  colour_ = colours_on(caller, STDOUT_FILENO, args.no_color);
  colour_err_ = colours_on(caller, STDERR_FILENO, args.no_color);
}

Session::~Session() { flush(); }

void Session::say(std::string_view text) {
  if (!args.silent && !mute) print(text);
}

void Session::print(std::string_view text) {
  buffer_ += text;
  if (buffer_.size() >= kFlushAt) flush();
}

void Session::flush() {
  write_all(STDOUT_FILENO, buffer_);
  buffer_.clear();
}

void Session::complain_raw(std::string_view text) {
  flush();
  if (!args.silent) write_all(STDERR_FILENO, text);
}

void Session::complain(std::string_view message) {
  complain_raw(pm2 ? pm2::error(message, colour_err_) : "tend: " + std::string(message) + "\n");
}

bool Session::no_daemon(const Error& error) { return error.code == kNoDaemonCode; }

int Session::unavailable() {
  failure_ = kUnavailable;
  return exit_of(kUnavailable);
}

// Why no answer came, if the keeper knows it.
void Session::tell_safe_mode() {
  const auto note = read_file(home.dir + "/" + kSafeModeFile, 4096);
  if (!note) return;
  complain(printable(*note) +
           "; the keeper restarts apps that exit and tries a new supervisor at most every 30 s: see " +
           printable(home.daemon_log()));
}

int Session::fail(const Error& error) {
  if (no_daemon(error)) {
    complain("no daemon runs in " + printable(home.dir));
    return unavailable();
  }
  if (pm2 && error.code == kNotAllowedCode) {
    complain("Permission denied, check permissions on " + printable(home.socket()));
    return unavailable();
  }
  complain(printable(error.message));
  if (error.code == ipc::kDeadlineCode) tell_safe_mode();
  if (error.code == ipc::kDeadlineCode || error.code == kNotAllowedCode || error.code == kInterruptedCode)
    return unavailable();
  return exit_of(error.code == -kUsage ? kUsage : kFailed);
}

render::Page Session::page() const {
  std::size_t width = pm2 ? 300 : 0;  // not a terminal: as wide as it likes
  winsize size{};
  const char* columns = caller.variable("COLUMNS");
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    width = size.ws_col;
  } else if (columns != nullptr && is_digits(columns) && std::string_view(columns).size() < 6) {
    width = static_cast<std::size_t>(std::atoi(columns));
  }
  if (width == 0) width = 10'000;
  return {width, colour_, SystemClock().wall(), pm2};
}

config::Context Session::context() const {
  config::Context c;
  c.cwd = caller.cwd;
  c.user_home = caller.user_home;
  c.environment = caller.environment;
  c.home = home;
  c.cpus = cpu_count();
  c.serve_program = helper_program("tend-serve");
  c.pm2 = pm2;
  c.env_name = args.env_name;
  c.only = args.only;
  c.no_log_files = no_log_files;
  return c;
}

namespace {

// Nobody listens at the socket.
bool absent(int code) { return code == ENOENT || code == ECONNREFUSED; }

// By socket(7), or by the daemon, which looks at its peers.
Error told(Error error) {
  if (absent(error.code)) error.code = kNoDaemonCode;
  if (error.code == EACCES || error.code == EPERM) error.code = kNotAllowedCode;
  return error;
}

}  // namespace

Status Session::connect(Need need) {
  if (client_) return {};
  auto client = ipc::RpcClient::connect(home.socket());
  if (!client && need == Need::started && absent(client.error().code)) {
    if (pm2 && !beside_pm2 && ipc::unix_connect(home.dir + "/rpc.sock", kGlance))
      return tend::fail(
          "PM2's own daemon runs in " + home.dir + "; move its apps: pm2 import pm2 --live --kill", EEXIST);
    const bool loud = pm2 && caller.variable("PM2_DISCRETE_MODE") == nullptr;
    // On standard error, where PM2 itself uses standard output: a script that reads jlist must find JSON
    // alone.
    if (loud)
      complain_raw(pm2::plain("Spawning PM2 daemon with pm2_home=" + printable(home.dir), colour_err_));
    client = start_daemon(home);
    if (client && loud) complain_raw(pm2::plain("PM2 Successfully daemonized", colour_err_));
  }
  if (!client) return tl::unexpected<Error>(told(client.error()));
  client_.emplace(std::move(*client));
  return {};
}

namespace {

bool takes_time(std::string_view method) {
  for (const auto m : {api::kStart, api::kAct, api::kScale, api::kCanary, api::kResurrect, api::kKill})
    if (m == method) return true;
  return false;
}

// It reads, or asks for a state and not for a change: a second time does what the first one did not.
bool repeatable(std::string_view method, const Value& params) {
  for (const auto m : {api::kPing, api::kList, api::kWhy, api::kWait, api::kEnvironment, api::kSave,
                       api::kKill, api::kSettings})
    if (m == method) return true;
  const std::string& verb = params.at("verb").text();
  return (method == api::kAct && (verb == "stop" || verb == "reset")) ||
         (method == api::kLogs && verb == "reopen");
}

}  // namespace

Result<Value> Session::converse(std::string_view method, const Value& params, Need need, Millis limit,
                                const std::function<void(const Value&)>& item) {
  const Millis until = SystemClock().now() + limit;
  Millis left = limit;
  for (int attempt = 1;; ++attempt) {
    if (auto connected = connect(need); !connected) return tl::unexpected<Error>(connected.error());
    auto reply = client_->call(method, params, left, item).map_error(told);
    if (reply || reply.error().code != ECONNRESET) return reply;
    disconnect();
    if (!repeatable(method, params)) {
      return tend::fail("the daemon ended while it worked on '" + std::string(method) +
                            "', which may or may not be done: look with " + (pm2 ? "pm2" : "tend") +
                            " list, then run it again",
                        kInterruptedCode);
    }
    left = until - SystemClock().now();
    if (attempt == kMostAttempts || left.n <= 0) return tend::fail(reply.error().message, kInterruptedCode);
  }
}

Result<Value> Session::ask(std::string_view method, Value params, Need need, Millis extra) {
  // First: a daemon that is started says so, and shows no progress.
  if (auto connected = connect(need); !connected) return tl::unexpected<Error>(connected.error());
  std::optional<Progress> progress;
  if (takes_time(method) && !args.silent && !args.json) progress.emplace(home.socket());
  auto reply = converse(method, params, need, args.timeout ? *args.timeout : kPatience + extra);
  if (reply && (method == api::kStart || method == api::kAct))
    for (const Value& outcome : reply->at("results").list())
      touched.emplace_back(std::to_string(outcome.at("id").integer()));
  return reply;
}

Result<Value> Session::ask_long(std::string_view method, Value params, Need need, Millis limit,
                                const std::function<void(const Value&)>& item) {
  return converse(method, params, need, limit, item);
}

Status Session::follow(std::string_view method, Value params, const std::function<bool(const Value&)>& item) {
  if (auto connected = connect(Need::existing); !connected) return connected;
  return client_->stream(method, params, item).map_error(told);
}

}  // namespace tend::cli
