// One run of the command line: what was asked, by whom, and the way to the daemon and to the terminal.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "cmd/render/apps_table.h"
#include "cmd/tend/caller.h"
#include "cmd/tend/parse.h"
#include "core/base/result.h"
#include "core/config/config.h"
#include "core/model/home.h"
#include "core/model/value.h"
#include "ipc/rpc_client.h"

namespace tend::cli {

// Exit statuses (settled 28). As pm2 everything but done is 1.
enum Exit : int { kDone = 0, kFailed = 1, kUsage = 2, kUnavailable = 3 };

// Error::code of connect(), and so of what asks: no errno, because files fail with those too.
inline constexpr int kNoDaemonCode = 1'000'001;
inline constexpr int kNotAllowedCode = 1'000'002;  // the socket is another user's
inline constexpr int kInterruptedCode = 1'000'003;  // the daemon ended before it answered; nobody knows what it did

enum class Need : uint8_t { existing, started };  // whether a daemon may be started for a request

class Session {
 public:
  Session(Arguments arguments, Caller caller, bool pm2);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();  // flushes

  const Arguments args;
  const Caller caller;
  const bool pm2;
  const Home home;

  // Standard output, buffered. say() is for people and mute under --silent; print() is what machines read.
  void say(std::string_view text);
  void print(std::string_view text);
  void flush();
  // One line on standard error: "tend: …", or as pm2 in PM2's form.
  void complain(std::string_view message);
  void complain_raw(std::string_view text);
  // Prints the error and gives the exit status that it deserves.
  int fail(const Error& error);
  // The exit status of a command that went on after what fail() was told: an end that nobody knows, or no daemon, is
  // no plain failure.
  int status_of(bool good) const { return good ? kDone : exit_of(failure_); }
  int exit_of(int status) const { return pm2 && status != kDone ? 1 : status; }

  bool mute = false;          // say() says nothing
  bool no_log_files = false;  // apps write to files only where they were told so
  List touched;  // ids, as words, of the apps that were started or restarted

  bool colour() const { return colour_; }
  bool colour_err() const { return colour_err_; }
  render::Page page() const;
  config::Context context() const;

  // Asks the daemon. `extra` is added to the 30 s: what the apps' own limits allow. An explicit --timeout
  // replaces both.
  Result<Value> ask(std::string_view method, Value params, Need need, Millis extra = {});
  // Error: kNoDaemonCode when none runs, kNotAllowedCode, kInterruptedCode: what may not be repeated was under way when
  // the daemon ended. Anything else is asked of its successor again.
  // Each item of a stream, until `item` says false.
  Status follow(std::string_view method, Value params, const std::function<bool(const Value&)>& item);
  // The same with items on the way to the reply, and a limit of its own.
  Result<Value> ask_long(std::string_view method, Value params, Need need, Millis limit,
                         const std::function<void(const Value&)>& item);
  Status connect(Need need);
  void disconnect() { client_.reset(); }  // the next request connects anew
  static bool no_daemon(const Error& error);
  // As pm2 no daemon is started in a home where PM2's own lives (settled 12); true: it is about to be moved from there.
  bool beside_pm2 = false;

 private:
  int unavailable();
  void tell_safe_mode();
  Result<Value> converse(std::string_view method, const Value& params, Need need, Millis limit,
                         const std::function<void(const Value&)>& item = {});
  std::string buffer_;
  bool colour_ = false, colour_err_ = false;
  int failure_ = kFailed;
  std::optional<ipc::RpcClient> client_;
};

}  // namespace tend::cli
