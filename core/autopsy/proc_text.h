// The kernel's texts about a process, read (proc(5)). Pure: text in, values out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tend::autopsy {

struct Status {       // /proc/PID/status
  std::string state;  // "R (running)"
  int tracer = 0;     // TracerPid
  int threads = 0;
  int64_t uid = -1;      // effective
  int64_t gid = -1;      // effective
  int64_t rss = 0;       // bytes
  uint64_t caught = 0;   // SigCgt: bit n-1 for signal n
  uint64_t blocked = 0;  // SigBlk, of the main thread
};
std::optional<Status> parse_status(std::string_view text);  // empty without a State line
bool catches(const Status& status, int signal);             // a handler is set and the signal not blocked

struct Times {  // /proc/PID/stat
  char state = '?';
  uint64_t user = 0;  // ticks
  uint64_t system = 0;
  uint64_t start = 0;
};
std::optional<Times> parse_stat(std::string_view text);

// /proc/PID/syscall: "running", "-1 SP PC" (runnable, not in a call), "NR ARGS… SP PC".
struct Call {
  bool inside = false;  // in a system call
  int64_t number = -1;
  std::string name;  // "read", "system call 434", "running"
};
std::optional<Call> parse_syscall(std::string_view text);

// "[<0>] futex_wait_queue+0x65/0x90" -> "futex_wait_queue"; at most 32 lines.
std::vector<std::string> parse_kernel_stack(std::string_view text);

// "#0  0x00007f0e name(int) - /lib/x" of eu-stack -> "name(int)", "0x00007f0e" for one without a name.
std::vector<std::string> parse_native_stack(std::string_view text, std::size_t most);

struct Socket {          // a line of /proc/PID/net/tcp
  uint32_t address = 0;  // host byte order
  uint16_t port = 0;
  bool listening = false;
  int64_t uid = 0;
  uint64_t inode = 0;
};
std::optional<Socket> parse_tcp_line(std::string_view line);  // also of tcp6, whose address stays 0

}  // namespace tend::autopsy
