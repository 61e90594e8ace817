#include "core/autopsy/main.h"

#include <grp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cmath>
#include <string>
#include <string_view>

#include "core/autopsy/deadline.h"
#include "core/autopsy/inspector_linux.h"
#include "core/autopsy/listeners_linux.h"
#include "core/autopsy/native_stack_linux.h"
#include "core/autopsy/neighbours_linux.h"
#include "core/autopsy/proc_linux.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/base/unique_fd.h"
#include "ipc/msgpack.h"

namespace tend::autopsy {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

constexpr int64_t kMostMs = 60'000;
constexpr int kLooks = 20;                 // of a millisecond
constexpr milliseconds kLast{5};           // to write the answer
constexpr milliseconds kForStack{150};     // what eu-stack needs for a program of Node's size
constexpr milliseconds kTimeForBoth{400};  // below that the inspector gets all of the time
constexpr int kLeastForStack = 25;         // ms; below that eu-stack is not begun
constexpr std::string_view kDead = "ZXx";

struct Request {
  pid_t pid = 0;
  int64_t ms = 0;
  std::string_view mode;
  uint64_t start = 0;
};

template <class T>
bool number(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool read_arguments(int argc, char** argv, Request& r) {
  if (argc < 4 || argc > 5 || !number(argv[1], r.pid) || !number(argv[2], r.ms)) return false;
  r.mode = argv[3];
  if (argc == 5 && !number(argv[4], r.start)) return false;
  return r.pid > 0 && r.ms > 0 && r.ms <= kMostMs &&
         (r.mode == "kernel" || r.mode == "inspector" || r.mode == "auto");
}

double tenths(double ms) { return std::round(ms * 10) / 10; }

// What is left when this helper is stuck in a system call and its caller is gone.
void end_at_last(int64_t ms) {
  itimerval at{};
  at.it_value.tv_sec = ms / 1000;
  at.it_value.tv_usec = ms % 1000 * 1000;
  ::setitimer(ITIMER_REAL, &at, nullptr);
}

// A root's helper goes on with the rights of the process: what it reads now was written by that process.
void drop_to(const Status& status) {
  if (::geteuid() != 0 || status.uid <= 0 || status.gid < 0) return;
  const auto uid = static_cast<uid_t>(status.uid);
  const auto gid = static_cast<gid_t>(status.gid);
  if (::setgroups(0, nullptr) != 0 || ::setresgid(gid, gid, gid) != 0 || ::setresuid(uid, uid, uid) != 0)
    ::_exit(0);  // the kernel's side is written already
}

// "" when the process may be asked by SIGUSR1, else why not.
std::string reason_against(const Request& request, const Sample& sample) {
  const auto status = status_of(request.pid);
  if (!status) return "no JavaScript stack: the process is gone";
  if (status->tracer != 0) return "no JavaScript stack: a debugger holds the process";
  if (!catches(*status, SIGUSR1))
    return "no JavaScript stack: SIGUSR1 would end the process, it has no handler";
  if (!sample.running)
    return "no JavaScript stack: the process is stopped or waits in the kernel, where a signal would disturb "
           "it";
  if (!same_network(request.pid)) return "no JavaScript stack: the process has a network of its own";
  if (request.mode == "auto" && !only_owner_and_root(static_cast<uid_t>(status->uid)))
    return "no JavaScript stack: others could use the inspector's port (autopsy: inspector allows it)";
  return {};
}

class Report {
 public:
  Report(pid_t pid, Steady::time_point began) : began_(began) {
    map.set("pid", int64_t{pid});
    map.set("mode", "kernel");
  }
  void note(std::string_view text) {
    if (text.empty()) return;
    const std::string& before = map["note"].text();
    map.set("note", before.empty() ? std::string(text) : before + "; " + std::string(text));
  }
  void write(bool partial) {
    map.set("ms", tenths(std::chrono::duration<double, std::milli>(Steady::now() - began_).count()));
    if (partial)
      map.set("partial", true);
    else
      map.erase("partial");
    (void)write_all(1, ipc::to_json(map) + '\n');
  }
  Map map;

 private:
  Steady::time_point began_;
};

void examine(const Request& request, int pidfd, const Deadline& deadline, Report& report) {
  add_kernel_side(report.map, request.pid);
  report.write(true);
  const Sample sample = watch_main_thread(request.pid, kLooks);
  if (sample.cpu_ms >= 0) report.map.set("cpu_ms", tenths(sample.cpu_ms));
  report.map.set("sample_ms", tenths(sample.wall_ms));
  report.write(true);

  const auto status = status_of(request.pid);
  if (!status) return report.note("the process ended meanwhile");
  std::string against;
  if (request.mode != "kernel") against = reason_against(request, sample);
  drop_to(*status);
  if (request.mode != "kernel" && against.empty()) {
    const bool both = deadline.left_ms() > kTimeForBoth.count();
    auto frames = javascript_stack(request.pid, pidfd, both ? deadline.earlier(kForStack) : deadline);
    if (frames) {
      report.map.set("mode", "inspector");
      report.map.set("frames", std::move(*frames));
      return;
    }
    against = frames.error().message;
  }
  report.note(against);
  // ptrace would wait for a stopped or uninterruptible process, and a traced one has its tracer.
  if (status->tracer != 0 || std::string_view("RS").find(status->state[0]) == std::string_view::npos)
    return report.note("no native stack: the process is not in a state where it can be read");
  if (deadline.left_ms() < kLeastForStack) return report.note("no native stack: no time was left");
  report.write(true);
  std::string note;
  List stack;
  for (const std::string& name : native_stack(request.pid, deadline, note))
    stack.emplace_back(printable(name));
  if (!stack.empty()) report.map.set("native_stack", std::move(stack));
  report.note(note);
}

}  // namespace

int run(int argc, char** argv) {
  const auto began = Steady::now();
  Request request;
  if (!read_arguments(argc, argv, request)) return 2;
  const Deadline deadline = Deadline(milliseconds(request.ms)).earlier(kLast);
  end_at_last(request.ms + 100);
  ::signal(SIGPIPE, SIG_IGN);
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, request.pid, 0)));
  // Read after the pidfd is open: from here on it is that process or none.
  const auto times = parse_stat(read_proc(request.pid, "stat"));
  if (!pidfd || !times || kDead.find(times->state) != std::string_view::npos) return 1;
  if (request.start != 0 && times->start != request.start) return 1;
  Report report(request.pid, began);
  examine(request, pidfd.get(), deadline, report);
  report.write(false);
  return 0;
}

}  // namespace tend::autopsy
