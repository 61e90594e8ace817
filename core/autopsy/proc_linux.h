// /proc of one process: the kernel's side of the evidence. Blocks for single system calls only; nothing here
// touches the process.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "core/autopsy/proc_text.h"
#include "core/model/value.h"

namespace tend::autopsy {

// At most `most` bytes of /proc/<pid>/<name>; "" when it cannot be read.
std::string read_proc(pid_t pid, const char* name, std::size_t most = 64 * 1024);
std::optional<Status> status_of(pid_t pid);

// state, wchan, syscall, kernel_stack, threads, thread_states, times, rss, tracer.
void add_kernel_side(Map& evidence, pid_t pid);

// What the main thread did over a few milliseconds.
struct Sample {
  bool running = false;  // runnable and outside of system calls, several looks in a row
  double cpu_ms = 0;     // of all threads; negative: the clock cannot be read
  double wall_ms = 0;
};
// Ends early when it has seen what it looks for; `most` looks, a millisecond apart.
Sample watch_main_thread(pid_t pid, int most);

}  // namespace tend::autopsy
