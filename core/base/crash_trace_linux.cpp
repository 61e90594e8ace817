#include "core/base/crash_trace_linux.h"

#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <climits>
#include <cstring>

namespace tend {
namespace {

struct Fault {
  int signal;
  const char* name;
};
constexpr Fault kFaults[] = {
    {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"}, {SIGILL, "SIGILL"}, {SIGFPE, "SIGFPE"}, {SIGABRT, "SIGABRT"}};
constexpr int kMostFrames = 48;
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// A handler is given nothing else. Written once, before the first signal; the stack is for faults by a full
// one.
char log_file[PATH_MAX];
char title[64];
alignas(16) char own_stack[65536];

void put(int fd, const char* text) {
  [[maybe_unused]] const ssize_t n = ::write(fd, text, std::strlen(text));
}

// Only calls that a signal handler may make; glibc's backtrace() may load a library when it is called first,
// so that a heap that is locked for ever must not hold up the end.
void on_fault(int number) {
  const itimerval soon{{}, {.tv_sec = 0, .tv_usec = 300'000}};
  ::signal(SIGALRM, SIG_DFL);
  ::setitimer(ITIMER_REAL, &soon, nullptr);
  const int fd = ::open(log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0) {
    put(fd, title);
    put(fd, " crashed by ");
    for (const Fault& fault : kFaults)
      if (fault.signal == number) put(fd, fault.name);
    put(fd, ", version " TEND_VERSION ", at\n");
    void* frames[kMostFrames];
    ::backtrace_symbols_fd(frames, ::backtrace(frames, kMostFrames), fd);
    ::close(fd);
  }
  ::raise(number);  // its action is the default again: it comes when this returns
}

}  // namespace

void trace_crashes(const std::string& file, const std::string& who) {
  if (kSanitized || file.size() >= sizeof log_file || log_file[0] != '\0') return;
  file.copy(log_file, sizeof log_file - 1);
  who.copy(title, sizeof title - 1);
  const stack_t stack{.ss_sp = own_stack, .ss_flags = 0, .ss_size = sizeof own_stack};
  if (::sigaltstack(&stack, nullptr) != 0) return;
  struct sigaction action {};
  action.sa_handler = on_fault;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_ONSTACK);
  for (const Fault& fault : kFaults) ::sigaction(fault.signal, &action, nullptr);
}

}  // namespace tend
