#include "cmd/probe/commands.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>

#include "cmd/probe/exec_child_linux.h"
#include "core/base/text.h"
#include "core/loop/poll.h"

namespace tend::probe {
namespace {

constexpr std::size_t kMaxLine = 120;
constexpr int kReadsPerTurn = 4;
constexpr Millis kStuckAfter{1000};

// The last line that says something, of whatever length the output is.
class LastLine {
 public:
  void feed(std::string_view bytes) {
    for (const char c : bytes) {
      if (c == '\n') {
        if (!trim(line_).empty()) last_ = line_;
        line_.clear();
      } else if (line_.size() < kMaxLine) {
        line_ += c;
      }
    }
  }
  std::string text() const { return printable(trim(trim(line_).empty() ? last_ : line_)); }

 private:
  std::string line_, last_;
};

struct Pipe {
  UniqueFd read, write;
  bool open(int flags) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | flags) != 0) return false;
    read.reset(ends[0]);
    write.reset(ends[1]);
    return true;
  }
};

Answer cannot_run(const health::ProbeRequest& request, const ExecError& error) {
  switch (error.step) {
    case ExecStep::directory:
      return bad("cannot enter " + printable(request.cwd) + ": " + std::strerror(error.code));
    case ExecStep::identity:
      return bad("cannot become user " + std::to_string(request.uid) + ": " + std::strerror(error.code));
    case ExecStep::exec:
      break;
  }
  return bad("cannot run " + printable(request.target.argv.front()) + ": " + std::strerror(error.code));
}

}  // namespace

// One process, until it is reaped.
class Commands::Command {
 public:
  Command(Commands& owner, uint32_t number, const health::ProbeRequest& request)
      : owner_(owner), number_(number), request_(request) {}

  // 0, or errno: then there is no process.
  int start() {
    Pipe output, error;
    if (!output.open(0) || !error.open(0)) return errno;
    ExecPlan plan(request_, owner_.nofile_);
    pid_ = ::fork();
    if (pid_ < 0) return errno;
    if (pid_ == 0) plan.become(owner_.null_.get(), output.write.get(), error.write.get());
    pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (!pidfd_) {
      const int code = errno;
      kill();
      ::waitpid(pid_, nullptr, 0);
      return code;
    }
    output_ = std::move(output.read);
    error_ = std::move(error.read);
    exit_poll_ = std::make_unique<loop::Poll>(owner_.loop_, pidfd_.get(), [this](int) { reap(); });
    output_poll_ = std::make_unique<loop::Poll>(owner_.loop_, output_.get(), [this](int) { read_output(); });
    exit_poll_->watch(UV_READABLE);
    output_poll_->watch(UV_READABLE);
    return 0;
  }

  void kill() {
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);  // it may not lead its group yet
  }

  void give_up() {
    kill();
    done_ = nullptr;
    given_up_ = owner_.clock_.now();
    output_poll_->stop();
  }

  uint32_t number() const { return number_; }
  Millis given_up() const { return given_up_; }  // -1: somebody waits for it
  void await(Attempt::Done done) { done_ = std::move(done); }

 private:
  void read_output() {
    char bytes[16384];
    for (int i = 0; i < kReadsPerTurn; ++i) {
      const ssize_t n = ::read(output_.get(), bytes, sizeof bytes);
      if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
      if (n <= 0) return output_poll_->stop();
      line_.feed({bytes, static_cast<std::size_t>(n)});
    }
  }

  void reap() {
    // The dead leader holds the number of its group until it is reaped.
    ::kill(-pid_, SIGKILL);
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == 0) return;
    exit_poll_->stop();
    read_output();
    output_poll_->stop();
    const Attempt::Done done = std::move(done_);
    const Answer answer = judge(status);
    owner_.gone(*this);  // `this` is no more
    if (done) done(answer);
  }

  Answer judge(int status) {
    ExecError error;
    ::fcntl(error_.get(), F_SETFL, O_NONBLOCK);
    if (::read(error_.get(), &error, sizeof error) == sizeof error) return cannot_run(request_, error);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return good("exit code 0");
    std::string text = WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                           : "exit code " + std::to_string(WEXITSTATUS(status));
    const std::string line = line_.text();
    return bad(line.empty() ? text : text + ": " + line);
  }

  Commands& owner_;
  const uint32_t number_;
  const health::ProbeRequest request_;
  pid_t pid_ = -1;
  UniqueFd pidfd_, output_, error_;
  std::unique_ptr<loop::Poll> exit_poll_, output_poll_;
  LastLine line_;
  Attempt::Done done_;
  Millis given_up_{-1};
};

class Commands::Run final : public Attempt {
 public:
  Run(Commands& owner, std::unique_ptr<Command> command, Done done)
      : owner_(owner), command_(std::move(command)), done_(std::move(done)) {}
  ~Run() override {
    if (running_ != nullptr) running_->give_up();
  }
  void start() override {
    if (const int code = command_->start(); code != 0)
      return done_(not_asked(std::string("cannot start a process: ") + std::strerror(code)));
    running_ = command_.get();
    running_->await([this](Answer answer) {
      running_ = nullptr;
      done_(std::move(answer));
    });
    owner_.living_.push_back(std::move(command_));
  }

 private:
  Commands& owner_;
  std::unique_ptr<Command> command_;
  Command* running_ = nullptr;  // owned by owner_ from start() to its end
  const Done done_;
};

Commands::Commands(loop::Loop& loop, const rlimit& nofile)
    : loop_(loop), nofile_(nofile), null_(::open("/dev/null", O_RDWR | O_CLOEXEC)) {}

Commands::~Commands() = default;

std::unique_ptr<Attempt> Commands::make(uint32_t number, const health::ProbeRequest& request,
                                        Attempt::Done done) {
  return std::make_unique<Run>(*this, std::make_unique<Command>(*this, number, request), std::move(done));
}

bool Commands::stuck(uint32_t number) const {
  const Millis before = clock_.now() - kStuckAfter;
  return std::any_of(living_.begin(), living_.end(), [&](const auto& c) {
    return c->number() == number && c->given_up().n >= 0 && c->given_up() <= before;
  });
}

std::size_t Commands::dying() const {
  return static_cast<std::size_t>(
      std::count_if(living_.begin(), living_.end(), [](const auto& c) { return c->given_up().n >= 0; }));
}

void Commands::kill_all() {
  for (const auto& command : living_) command->kill();
}

void Commands::gone(Command& command) {
  std::erase_if(living_, [&](const auto& c) { return c.get() == &command; });
}

}  // namespace tend::probe
