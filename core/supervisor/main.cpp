// The composition root of the supervisor: builds the parts, hands out references, runs the loop.
#include "core/supervisor/main.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <algorithm>

#include <cstdlib>

#include "core/base/crash_trace_linux.h"
#include "core/journal/dump.h"
#include "core/keeper/heritage.h"
#include "core/loop/work.h"
#include "core/model/api.h"
#include "core/supervisor/causes.h"
#include "core/supervisor/home_guard_linux.h"
#include "core/supervisor/log_spdlog.h"
#include "core/supervisor/observers.h"
#include "core/supervisor/rpc.h"
#include "core/supervisor/succession.h"
#include "core/tree/marks.h"

namespace tend::supervisor {
namespace {

constexpr int kKeeperFd = 3;
constexpr int kListenerFd = 4;
constexpr Millis kTidyAfter{300};
constexpr int kLingerRounds = 1000;  // 5 s
constexpr std::string_view kSlots = "slots";
constexpr std::string_view kJournal = "journal";
constexpr std::string_view kUnwritten = "unwritten";

class KeeperKeepsakes final : public logs::Keepsakes {
 public:
  explicit KeeperKeepsakes(keeper::Client& keeper) : keeper_(keeper) {}
  void hold(std::string_view name, int fd) override { keeper_.hold(name, fd); }
  void drop(std::string_view name) override { keeper_.drop(name); }

 private:
  keeper::Client& keeper_;
};

// Everything that needs the keeper's answer to hello before it can exist.
struct Running {
  Running(loop::Loop& loop, const Clock& clock, Log& log, const Home& home, keeper::Client& keeper,
          tree::Lineage lineage, journal::SlotTable slots, journal::Unwritten unwritten, Console console)
      : keepsakes(keeper),
        tree(loop, log, home.dir, tree::home_mark(home.dir, home.pm2), lineage),
        logs(loop, clock, log, keepsakes),
        rotation(loop, clock, log, home, logs),
        journal(loop, log, home.journal(), journal::current_boot_id(),
                [&keeper](int fd) { keeper.hold(kJournal, fd); }),
        supervisor({loop, clock, log, home, keeper, tree, logs, rotation, console}, journal, std::move(slots),
                   std::move(unwritten)),
        autosave(loop, log, home, supervisor),
        daemon{supervisor, lineage.keeper, {}, 0, {}, &autosave, nullptr},
        log_observer(log_events(supervisor.bus(), log)),
        pid_files(loop, supervisor.bus()) {}

  KeeperKeepsakes keepsakes;
  tree::ProcessTree tree;
  logs::LogWriter logs;
  LogRotation rotation;
  journal::Journal journal;
  Supervisor supervisor;
  Autosave autosave;
  Daemon daemon;
  EventBus::Subscription log_observer;
  PidFiles pid_files;
  std::unique_ptr<ipc::RpcServer> server;
};

class Main {
 public:
  Main(const Home& home, Console console)
      : home_(home),
        console_(console),
        log_(make_file_log(home.daemon_log(), home.pm2)),
        keeper_(
            loop_, UniqueFd(kKeeperFd), epoch(), [this](keeper::Report r) { report(std::move(r)); },
            [this] { keeper_lost(); }),
        listener_(fcntl(kListenerFd, F_DUPFD_CLOEXEC, 0)) {}

  int run() {
    keeper_.hello();
    loop_.run();
    guard_.reset();
    running_.reset();
    return status_;
  }

 private:
  static uint64_t epoch() {
    const char* text = std::getenv("TEND_EPOCH");
    return text != nullptr ? std::strtoull(text, nullptr, 16) : 0;
  }

  void report(keeper::Report r) {
    if (r.kind == keeper::Kind::terminate && r.a == SIGUSR2) {
      if (running_) running_->logs.reopen();  // one that takes over opens them anyway
      return;
    }
    if (r.kind == keeper::Kind::terminate) return terminate(static_cast<int>(r.a));
    if (r.kind == keeper::Kind::refused && r.c == static_cast<int64_t>(keeper::Kind::upgrade))
      return upgrade_.refused(r);
    if (r.kind == keeper::Kind::refused && r.c == static_cast<int64_t>(keeper::Kind::hello)) {
      loop_.defer([this] { refuse("the keeper does not speak the protocol of version " TEND_VERSION); });
      return;
    }
    if (running_) return running_->supervisor.on_report(std::move(r));
    if (r.kind == keeper::Kind::synced) return synced(r);
    left_.push_back(std::move(r));
  }

  void synced(keeper::Report& r) {
    // From here on the parts exist, so the adoption happens outside the client's callback.
    loop_.defer([this, from = std::make_shared<keeper::Report>(std::move(r))] { take_over(*from); });
  }

  void take_over(const keeper::Report& synced) {
    const auto keeper_pid = static_cast<int>(synced.a);
    keeper_pid_ = keeper_pid;
    if (std::getenv(keeper::kLostHomeVariable) != nullptr) {  // the journal there is another daemon's
      log_->error(lost_home());
      return refuse(lost_home());
    }
    bring_journal_back();
    auto wanted = journal::Journal::load(home_.journal(), journal::current_boot_id());
    if (!wanted) {
      log_->error(wanted.error().message);
      return refuse(wanted.error().message +
                    "; nothing was changed and the apps run on without care; to end them: kill " +
                    std::to_string(keeper_pid));
    }
    if (!wanted->warning.empty()) log_->warn(wanted->warning);
    if (!wanted->same_boot) *wanted = {};  // another boot: nothing but by resurrect (settled 4)
    auto slots = take_slots();
    if (!slots) {
      log_->error(slots.error().message);
      return refuse(slots.error().message);
    }
    running_ = std::make_unique<Running>(loop_, clock_, *log_, home_, keeper_, lineage_of(keeper_pid),
                                         std::move(*slots), take_unwritten(), console_);
    running_->daemon.keeper_version = synced.name;
    running_->daemon.keeper_upgrades = synced.id;
    running_->daemon.upgrade = &upgrade_;
    Supervisor::Left left;
    for (keeper::Report& report : left_) {
      if (report.kind == keeper::Kind::held &&
          (report.name.rfind("file/", 0) == 0 || report.name.rfind("note", 0) == 0)) {
        running_->logs.give_back(report.name, std::move(report.fd));
      } else {
        left.reports.push_back(std::move(report));
      }
    }
    left_.clear();
    left.wanted = std::move(*wanted);
    left.first = synced.b == 1;
    running_->supervisor.recover(std::move(left));
    running_->supervisor.flush([](bool) {});
    running_->supervisor.wanted_changed = [this] { running_->autosave.changed(); };
    pid_file(keeper_pid);
    running_->daemon.end = [this] { end(); };
    running_->server = std::make_unique<ipc::RpcServer>(loop_, *log_, UniqueFd(kListenerFd), TEND_VERSION,
                                                        [this](std::shared_ptr<ipc::Call> call) {
                                                          tidy_.start(kTidyAfter);
                                                          dispatch(running_->daemon, call);
                                                        });
    // Most homes have none: then no thread of the pool is begun for it.
    if (::access(home_.settings().c_str(), F_OK) == 0)
      running_->supervisor.reload_settings([](const std::string&) {});
    guard_ = std::make_unique<HomeGuard>(loop_, home_, [this] { home_gone(); });
    keeper_.serving();
    if (const auto former = static_cast<int>(synced.spawn); former != 0)
      log_->warn("the former supervisor ended: " + end_text(former));
    log_->info("supervisor " + std::to_string(getpid()) + " took over " +
               std::to_string(running_->supervisor.instances().size()) + " instances");
    if (asked_to_end_ != 0) terminate(asked_to_end_);
  }

  // What lives is known by the journal: without it all would be ended as nobody's.
  void bring_journal_back() {
    for (keeper::Report& r : left_) {
      if (r.kind != keeper::Kind::held || r.name != kJournal) continue;
      const auto back = journal::Journal::bring_back(home_.journal(), r.fd.get());
      if (!back) log_->error("journal: " + back.error().message);
      if (back && *back) {
        // In the place of the emptied one: the home may go again before anything is written.
        const UniqueFd now(::open(home_.journal().c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
        if (now) keeper_.hold(kJournal, now.get());
        log_->warn(home_.dir +
                   " was deleted or moved away: it was made again, with all that runs; what was saved and "
                   "logged before "
                   "is where it went");
      }
      left_.erase(left_.begin() + (&r - left_.data()));
      return;
    }
  }

  std::string lost_home() const {
    return "the home " + home_.dir +
           " was deleted or moved away, and another daemon has it now; this one cannot be asked "
           "for anything: to end its apps: kill " +
           std::to_string(keeper_pid_);
  }

  // The keeper binds the socket again, in a home that it makes again if need be, when it starts a supervisor.
  void home_gone() {
    if (!running_ || ending_) return;
    if (guard_->is_anothers()) return log_->error(lost_home());
    log_->warn("the home " + home_.dir + " or its socket was deleted or moved away; it is made again");
    running_->supervisor.flush([this](bool) {
      if (ending_) return;
      running_->server.reset();
      ::_exit(0);  // as if killed
    });
  }

  // Error: they are from a newer version.
  Result<journal::SlotTable> take_slots() {
    if (keeper::Report* left = held(kSlots)) {
      auto slots = journal::SlotTable::adopt(std::move(left->fd));
      if (slots || slots.error().code == EPROTONOSUPPORT) return slots;
      log_->error("the slots of the former supervisor cannot be read: counters start anew");
    }
    auto fresh = journal::SlotTable::create();
    if (!fresh) std::abort();  // no memfd: nothing can be promised
    keeper_.hold(kSlots, fresh->fd());
    return fresh;
  }

  journal::Unwritten take_unwritten() {
    if (keeper::Report* left = held(kUnwritten)) {
      if (auto unwritten = journal::Unwritten::adopt(std::move(left->fd))) return std::move(*unwritten);
      log_->error("what the former supervisor had not written yet cannot be read");
    }
    auto fresh = journal::Unwritten::create();
    if (!fresh) std::abort();
    keeper_.hold(kUnwritten, fresh->fd());
    return std::move(*fresh);
  }

  // What the keeper gave back under that name; nullptr: nothing.
  keeper::Report* held(std::string_view name) {
    const auto found = std::find_if(left_.begin(), left_.end(), [name](const keeper::Report& r) {
      return r.kind == keeper::Kind::held && r.name == name;
    });
    return found == left_.end() ? nullptr : &*found;
  }

  // What is left is from a newer version: touch nothing, and say so to whoever asks for anything but that
  // version.
  void refuse(const std::string& why) {
    if (asked_to_end_ != 0) return loop_.stop();  // the keeper ends the apps
    refusing_ = std::make_unique<ipc::RpcServer>(loop_, *log_, UniqueFd(kListenerFd), TEND_VERSION,
                                                 [this, why](const std::shared_ptr<ipc::Call>& call) {
                                                   call->method() == api::kUpdate ? upgrade_.begin(call)
                                                                                  : call->error(why);
                                                 });
  }

  void terminate(int signal) {
    if (refusing_) return loop_.stop();
    if (!running_) asked_to_end_ = signal;  // the order may come before there is anything to end
    if (!running_ || ending_) return;
    ending_ = true;
    log_->info("stopping everything: signal " + std::to_string(signal));
    Value apps = running_->autosave.with_absent(saved_apps(running_->supervisor).list());
    const auto stop = [this] {
      stop_all(running_->supervisor, {"signal to the daemon"}, true,
               [this](List) { running_->supervisor.flush([this](bool) { end(); }); });
    };
    running_->autosave.end([this, stop, apps = std::move(apps)] {
      // In the foreground the apps are those of one run: what the user saved stays.
      if (apps.list().empty() || console_ != Console::none) return stop();
      loop::work(
          loop_,
          [path = home_.dump(), pm2 = home_.pm2, apps] {
            [[maybe_unused]] auto saved = journal::save_dump(path, apps, pm2);
          },
          stop);
    });
  }

  // PM2's pm2.pid, which units that PM2 wrote wait for (Type=forking): the keeper, there as long as anything
  // is.
  void pid_file(int pid) {
    if (!home_.pm2) return;
    loop::work(
        loop_, [path = home_.dir + "/pm2.pid", pid] { write_pid_file(path, pid); }, [] {});
  }

  void end() {
    if (home_.pm2) ::unlink((home_.dir + "/pm2.pid").c_str());
    keeper_.shutdown();
    linger_ = std::make_unique<loop::Timer>(loop_, [this] { finish(); });
    finish();
  }

  void finish() {  // the last answer and the last request to the keeper must leave first
    const bool busy = (running_->server && !running_->server->idle()) || !keeper_.idle();
    if (busy && ++lingered_ < kLingerRounds) return linger_->start(Millis{5});
    loop_.stop();
  }

  static tree::Lineage lineage_of(int keeper_pid) {
    const char* text = std::getenv(keeper::kHeritageVariable);
    const auto heritage = keeper::read_heritage(text != nullptr ? text : "");
    return {keeper_pid, heritage ? heritage->founder : keeper_pid};
  }

  void keeper_lost() {
    log_->error("the keeper is lost");
    if (!running_ || ending_) return give_up();
    // What it had reported is judged first, and what is wanted is on disk: then nothing here is news any
    // more.
    loop_.defer([this] { running_->supervisor.flush([this](bool) { succeed(); }); });
  }

  void succeed() {
    running_->server.reset();  // who asks from now on waits in the backlog for the next supervisor
    if (auto done = install_successor(home_, console_, listener_.get(), keeper_.mirror(), *log_); !done) {
      log_->error("no keeper takes over: " + done.error().message);
      return give_up();
    }
    log_->warn("another keeper took over; no app was touched");
    ::_exit(0);  // as if killed: nothing that this process would tidy up is its own any more
  }

  void give_up() {
    status_ = 1;
    loop_.stop();
  }

  Home home_;
  Console console_;
  SystemClock clock_;
  std::unique_ptr<Log> log_;
  loop::Loop loop_;
  keeper::Client keeper_;
  UniqueFd listener_;  // a copy of the server's, for a keeper that takes a lost one's place
  // A request is unpacked into many small blocks; once they are free again their pages go back, so that an
  // idle daemon holds what it needs and no more.
  loop::Timer tidy_{loop_, [] { malloc_trim(0); }};
  Upgrade upgrade_{keeper_};
  std::vector<keeper::Report> left_;
  std::unique_ptr<Running> running_;
  std::unique_ptr<HomeGuard> guard_;
  std::unique_ptr<ipc::RpcServer> refusing_;
  std::unique_ptr<loop::Timer> linger_;
  int lingered_ = 0;
  int status_ = 0;
  int asked_to_end_ = 0;
  int keeper_pid_ = 0;
  bool ending_ = false;
};

}  // namespace

Status check_inheritance(const Home& home, const std::function<int(std::string_view)>& held) {
  if (const auto wanted = journal::Journal::load(home.journal(), journal::current_boot_id()); !wanted) {
    const std::string& why = wanted.error().message;
    const std::string folder = home.dir + "/";
    return fail(why.rfind(folder, 0) == 0 ? why.substr(folder.size()) : why);
  }
  // Without them the counters would start anew, and apps whose process nobody can place would be restarted.
  const int slots = held(kSlots);
  return slots < 0 ? Status() : journal::SlotTable::check(slots);
}

int run(const Home& home, Console console) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  // One arena: threads of the pool would otherwise each keep a heap of their own.
  mallopt(M_ARENA_MAX, 1);
  trace_crashes(home.daemon_log(), "supervisor " + std::to_string(getpid()));
  Main main(home, console);
  return main.run();
}

}  // namespace tend::supervisor
