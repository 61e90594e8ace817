// The fourth role of the executable: looks at one condemned process and says why it hangs. It blocks, so it
// is a process of its own. It never kills: that is its caller's next step.
#pragma once

namespace tend::autopsy {

// "tend: autopsy" <pid> <ms> <mode> [<start>]
//   pid    the process; it must be condemned: the inspector's signal and the native stack's stop are no harm
//   then ms     time in all, from the start of this process; whatever is missing then stays missing mode
//   kernel     /proc, and the native stack where eu-stack is installed and ptrace allowed
//          inspector  Node's JavaScript stack by SIGUSR1, if the process runs (R) outside of system calls and
//          catches
//                     that signal; else as kernel. The caller knows what cannot be seen from outside: that it
//                     is a Node whose preload is ready, that no debugger is open, that the app has no SIGUSR1
//                     handler.
//          auto       inspector, where no uid but root's and the process's own has processes; else kernel
//   start  clock ticks since boot at which the process began (field 22 of /proc/PID/stat); another one's pid
//   is left
//          alone. 0 or absent: not checked.
//
// stdout: JSON, one object a line. The first is the kernel's side, written within the first 20 ms and with
// "partial": true, so that a caller that has to kill this helper still has something; the last whole line
// counts. Keys, absent where nothing is known:
//   pid  mode ("inspector" with frames, else "kernel")  ms  state ("R (running)")  wchan  syscall ("read",
//   "running") cpu_ms (used in sample_ms, all threads)  sample_ms  user_ms system_ms (since it began)  rss
//   (bytes)  tracer (pid) threads  thread_states ({"R": 1, "S": 6})  kernel_stack [text]  native_stack [text,
//   innermost first] frames [{function, file, line, column}, innermost first; "" anonymous; line and column
//   from 1] note (why frames or a stack are missing)
// Exit: 0 something was written, 1 no such process, 2 usage.
int run(int argc, char** argv);

}  // namespace tend::autopsy
