#include "cmd/probe/exec_child_linux.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <string_view>

#include "core/base/text.h"

namespace tend::probe {
namespace {

constexpr int kErrorPipe = 3;
constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

void default_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void close_from(unsigned first) {
  if (::syscall(SYS_close_range, first, UINT_MAX, 0) == 0) return;
  rlimit limit{};  // a filter of system calls that does not know it
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t end = std::min<rlim_t>(limit.rlim_cur, 1u << 20);
  for (rlim_t fd = first; fd < end; ++fd) ::close(static_cast<int>(fd));
}

bool set_identity(const health::ProbeRequest& r) {
  const auto uid = static_cast<uid_t>(r.uid);
  const auto gid = static_cast<gid_t>(r.gid);
  // Without privileges the own identity may be named: there is nothing to change.
  if (::geteuid() != 0 && (r.uid < 0 || uid == ::geteuid()) && (r.gid < 0 || gid == ::getegid())) return true;
  // Raw: libc's would ask the other threads, which a forked child does not have.
  if (r.uid >= 0 && ::syscall(SYS_setgroups, r.groups.size(), r.groups.data()) != 0) return false;
  if (r.gid >= 0 && ::syscall(SYS_setresgid, gid, gid, gid) != 0) return false;
  return r.uid < 0 || ::syscall(SYS_setresuid, uid, uid, uid) == 0;
}

}  // namespace

ExecPlan::ExecPlan(const health::ProbeRequest& request, const rlimit& nofile)
    : request_(request), nofile_(nofile), parent_(::getpid()) {
  const auto pointers = [](const StringList& strings, std::vector<char*>& out) {
    for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
    out.push_back(nullptr);
  };
  pointers(request.target.argv, argv_);
  std::string_view path = kDefaultPath;
  if (request.env.empty()) {
    for (char** e = environ; e != nullptr && *e != nullptr; ++e) envp_.push_back(*e);
    envp_.push_back(nullptr);
  } else {
    pointers(request.env, envp_);
  }
  for (const char* entry : envp_) {
    if (entry != nullptr && std::string_view(entry).starts_with("PATH=")) path = entry + 5;
  }
  const std::string& name = request.target.argv.front();
  if (name.find('/') != std::string::npos) {
    candidates_ = {name};
  } else {
    for (const std::string& folder : split(path, ':'))
      candidates_.push_back((folder.empty() ? "." : folder) + "/" + name);
  }
}

void ExecPlan::fail(int error_pipe, ExecStep step) {
  const ExecError error{errno, step};
  // Eight bytes into an empty pipe: never partial.
  [[maybe_unused]] const ssize_t n = ::write(error_pipe, &error, sizeof error);
  ::_exit(127);
}

void ExecPlan::become(int null, int output, int error_pipe) {
  default_signals();
  ::setsid();
  if (::dup2(null, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(output, 2) < 0 ||
      (error_pipe != kErrorPipe && ::dup3(error_pipe, kErrorPipe, O_CLOEXEC) < 0))
    fail(error_pipe, ExecStep::exec);
  close_from(kErrorPipe + 1);
  ::setrlimit(RLIMIT_NOFILE, &nofile_);
  const char* cwd = request_.cwd.c_str();
  // Before privileges go, because only root may be allowed in; after that if root is the one who is not
  // (NFS).
  const bool in_place = *cwd == '\0' || ::chdir(cwd) == 0;
  if (!in_place && errno != EACCES) fail(kErrorPipe, ExecStep::directory);
  if (!set_identity(request_)) fail(kErrorPipe, ExecStep::identity);
  if (!in_place && ::chdir(cwd) != 0) fail(kErrorPipe, ExecStep::directory);
  // A change of identity clears it, so it comes last. It covers the end by SIGKILL of the parent.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent_) ::_exit(127);
  int error = ENOENT;
  for (const std::string& candidate : candidates_) {
    ::execve(candidate.c_str(), argv_.data(), envp_.data());
    if (errno != ENOENT && errno != ENOTDIR) error = errno;
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) break;
  }
  errno = error;
  fail(kErrorPipe, ExecStep::exec);
}

}  // namespace tend::probe
