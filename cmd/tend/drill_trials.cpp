#include "cmd/tend/drill_trials.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "cmd/tend/http_load.h"
#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/model/api.h"

namespace tend::cli {
namespace {

constexpr Millis kFirstAnswer{15'000};
constexpr Millis kBackAgain{15'000};
constexpr Millis kNoticed{8'000};  // of a port that is taken
constexpr int kBeforeMs = 500, kAfterMs = 700;
constexpr Millis kEarly{100};  // online before it answered, by more than this

Millis now() { return SystemClock().now(); }
void pause(int millis) { ::poll(nullptr, 0, millis); }

std::string count(int64_t n, const std::string& one) {
  return std::to_string(n) + " " + one + (n == 1 ? "" : "s");
}

std::string loss_text(const LoadTally& t) {
  std::string text = std::to_string(t.lost()) + " of " + count(t.answered + t.lost(), "request") + " lost";
  std::string parts;
  const auto part = [&](int64_t n, const char* what) {
    if (n > 0) parts += (parts.empty() ? "" : ", ") + std::to_string(n) + " " + what;
  };
  part(t.refused, "refused");
  part(t.cut, "cut off");
  part(t.late, "without an answer in 5 s");
  part(t.errors, "answered 5xx");
  return parts.empty() ? text : text + ": " + parts;
}

Map figures_of(const LoadTally& t) {
  return Map{{"answered", t.answered}, {"refused", t.refused}, {"cut", t.cut},
             {"late", t.late},         {"errors", t.errors},   {"gap_ms", t.gap.n}};
}

bool answers(const Drill& d, Millis limit) {
  for (const Millis end = now() + limit; now() < end && !d.stopped(); pause(10))
    if (ask_http(d.port, d.path, Millis{2'000}) != 0) return true;
  return false;
}

bool is_single(const List& rows) { return rows.size() == 1; }

// As many as there were, running.
void bring_back(Drill& d) {
  (void)d.copy.act("restart", d.name);
  (void)answers(d, kBackAgain);
}

}  // namespace

Result<TrialOutcome> try_start(Drill& d) {
  TrialOutcome f{.trial = "start", .words = {}, .advice = {}, .figures = {}};
  const Millis began = now();
  Millis answered{-1};
  std::atomic<bool> failed = false;
  std::thread asker([&] {
    for (const Millis end = began + kFirstAnswer; now() < end && !failed && answered.n < 0; pause(5))
      if (ask_http(d.port, d.path, Millis{2'000}) != 0) answered = now() - began;
  });
  const Status started = d.copy.start(d.name, d.port, false);
  failed = !started;
  const Millis online = now() - began;
  asker.join();
  if (!started) {
    const std::string said = d.copy.log_end(d.name);
    return fail("the copy does not start: " + started.error().message +
                (said.empty() ? "" : "; it says: " + said));
  }
  if (answered.n < 0) {
    return fail(
        "the copy does not answer at 127.0.0.1:" + std::to_string(d.port) +
        " within 15s; if it takes its port from another variable than PORT, name that with --port-env");
  }
  f.figures = Map{{"online_ms", online.n}, {"answer_ms", answered.n}};
  f.words = "first answer after " + std::to_string(answered.n) + " ms";
  const List rows = d.copy.rows(d.name);
  if (answered > online + kEarly) {
    f.lost = true;
    f.words += ", but it was taken for ready after " + std::to_string(online.n) +
               " ms: a restart or reload goes on before it serves";
    f.advice = "wait_ready: true, and process.send('ready') (or READY=1) once it listens";
  }
  return f;
}

TrialOutcome try_reload(Drill& d) {
  TrialOutcome f{.trial = "reload", .words = {}, .advice = {}, .figures = {}};
  HttpLoad load(d.port, d.path);
  pause(kBeforeMs);
  const Millis began = now();
  const Status done = d.copy.act("reload", d.name);
  const Millis took = now() - began;
  pause(kAfterMs);
  const LoadTally t = load.stop();
  f.figures = figures_of(t);
  f.figures.set("took_ms", took.n);
  f.lost = t.lost() > 0 || !done;
  f.words = loss_text(t) + ", in " + std::to_string(took.n) + " ms" +
            (done ? "" : "; it failed: " + done.error().message);
  if (f.lost) {
    const List rows = d.copy.rows(d.name);
    const bool cluster = !rows.empty() && rows[0].at("mode").text() == "cluster";
    f.advice =
        !cluster
            ? "exec_mode: cluster (Node), or listen: the address, so that the socket outlives the process"
        : t.cut > 0 ? "a longer kill_timeout, and answers that end before it"
                    : "wait_ready: true, so that the old process stays until the new one serves";
  }
  return f;
}

TrialOutcome try_stop(Drill& d) {
  TrialOutcome f{.trial = "stop", .words = {}, .advice = {}, .figures = {}};
  HttpLoad load(d.port, d.path);
  pause(kBeforeMs);
  load.expect_end();
  const Millis began = now();
  const Status done = d.copy.act("stop", d.name);
  const Millis took = now() - began;
  const LoadTally t = load.stop();
  bool killed = false;
  for (const Value& row : d.copy.rows(d.name)) killed = killed || row.at("exit_signal").text() == "SIGKILL";
  f.figures = figures_of(t);
  f.figures.set("took_ms", took.n);
  f.figures.set("killed", killed);
  f.lost = t.lost() > 0 || killed || !done;
  f.words = t.lost() > 0 ? count(t.lost(), "request") + " that had been sent before got no answer"
                         : "what had been sent before was answered";
  f.words += ", in " + std::to_string(took.n) + " ms";
  if (killed) f.words += "; it did not end by itself and was killed";
  if (killed) {
    f.advice = "end on SIGINT: close the server, then exit; or a longer kill_timeout";
  } else if (t.lost() > 0) {
    f.advice = "on SIGINT close the server and end when it is closed, not at once";
  }
  bring_back(d);
  return f;
}

TrialOutcome try_kill(Drill& d) {
  TrialOutcome f{.trial = "kill -9", .words = {}, .advice = {}, .figures = {}};
  const List rows = d.copy.rows(d.name);
  const int64_t pid = rows.empty() ? 0 : rows[0].at("pid").integer();
  if (pid <= 1) {
    f.tried = false;
    f.words = "no process to kill";
    return f;
  }
  HttpLoad load(d.port, d.path);
  pause(kBeforeMs);
  ::kill(static_cast<pid_t>(pid), SIGKILL);
  pause(kAfterMs);
  (void)answers(d, kBackAgain);
  const LoadTally t = load.stop();
  f.figures = figures_of(t);
  f.lost = t.lost() > 0;
  f.words = loss_text(t) + "; the longest time without any answer was " + std::to_string(t.gap.n) + " ms";
  if (f.lost)
    f.advice = is_single(rows) ? "instances: 2 or more, and spare: 1"
                               : "spare: 1; what the dead process was answering is lost in any case";
  return f;
}

TrialOutcome try_taken_port(Drill& d) {
  TrialOutcome f{.trial = "port taken", .words = {}, .advice = {}, .figures = {}};
  const UniqueFd holder(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  socklen_t size = sizeof address;
  if (!holder || ::bind(holder.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::listen(holder.get(), 1) != 0 ||
      ::getsockname(holder.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    f.tried = false;
    f.words = "no port could be taken";
    return f;
  }
  const std::string name = d.name + "-taken";
  const Status started = d.copy.start(name, ntohs(address.sin6_port), true);
  List rows;
  bool running = true;
  for (const Millis end = now() + kNoticed; running && now() < end && !d.stopped(); pause(50)) {
    rows = d.copy.rows(name);
    running = std::any_of(rows.begin(), rows.end(), [](const Value& row) {
      return row.at("status").text() != "stopped" && row.at("status").text() != "errored";
    });
  }
  const std::string said = d.copy.log_end(name);
  const Value code = rows.empty() ? Value() : rows[0].at("exit_code");
  if (running) {
    f.lost = true;
    f.words = "it goes on without its port, and nobody is told";
    f.advice = "end with a code other than 0 when listen() fails; or health_check on the port";
  } else if (code.integer() == 0 && !code.is_null()) {
    f.lost = true;
    f.words = "it ends with code 0, as if all were well";
    f.advice = "end with a code other than 0 when listen() fails";
  } else {
    f.words =
        "it ends and says so" +
        (said.empty() ? std::string(started ? "" : ": " + started.error().message) : ": " + printable(said));
  }
  f.figures = Map{{"ends", !running}};
  if (!code.is_null()) f.figures.set("exit_code", code);
  (void)d.copy.act("delete", name);
  return f;
}

// The app's own files are wherever it likes; what can be filled without harm is where its output goes.
TrialOutcome try_full_disk(Drill& d) {
  TrialOutcome f{.trial = "full disk", .words = {}, .advice = {}, .figures = {}};
  if (auto moved = d.copy.act("restart", d.name, Map{{"out_file", "/dev/full"}, {"error_file", "/dev/full"}});
      !moved) {
    f.tried = false;
    f.words = "its logs could not be moved: " + moved.error().message;
    return f;
  }
  if (!answers(d, kBackAgain)) {
    f.lost = true;
    f.words = "it does not come up when its logs cannot be written";
    f.advice = "start without writing to the log first";
    return f;
  }
  HttpLoad load(d.port, d.path);
  pause(kBeforeMs);
  const LoadTally t = load.stop();
  int64_t dropped = 0;
  for (const Value& row : d.copy.rows(d.name)) dropped += row.at("dropped").integer();
  f.figures = figures_of(t);
  f.figures.set("dropped_bytes", dropped);
  f.lost = t.lost() > 0;
  f.words = loss_text(t) + "; " + count(dropped, "byte") +
            " of its logs dropped and counted. Its own files were not tried";
  if (f.lost) f.advice = "do not let the answer wait for the log";
  return f;
}

}  // namespace tend::cli
