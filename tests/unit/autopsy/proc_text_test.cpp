#include "core/autopsy/proc_text.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/syscall.h>

#include <string>

using namespace tend::autopsy;

TEST_CASE("of /proc/PID/status the fields that decide about a signal are read") {
  const auto s = parse_status(
      "Name:\tnode (1)\nState:\tR (running)\nTracerPid:\t42\nUid:\t0\t1000\t0\t0\nGid:\t7\t8\t9\t10\n"
      "VmRSS:\t    3060 kB\nThreads:\t7\nSigBlk:\t0000000000000000\nSigCgt:\t0000000100004602\n");
  REQUIRE(s);
  CHECK(s->state == "R (running)");
  CHECK(s->tracer == 42);
  CHECK(s->threads == 7);
  CHECK(s->uid == 1000);
  CHECK(s->gid == 8);
  CHECK(s->rss == 3060 * 1024);
  CHECK(catches(*s, SIGUSR1));
  CHECK(catches(*s, SIGTERM));
  CHECK_FALSE(catches(*s, SIGUSR2));
  CHECK_FALSE(catches(*s, SIGHUP));
}

TEST_CASE("a signal that is blocked counts as one without a handler") {
  const auto s = parse_status("State:\tR (running)\nSigBlk:\t0000000000000200\nSigCgt:\t0000000000000200\n");
  REQUIRE(s);
  CHECK_FALSE(catches(*s, SIGUSR1));
}

TEST_CASE("a status without a state is none, and absent fields forbid the signal") {
  CHECK_FALSE(parse_status(""));
  CHECK_FALSE(parse_status("Name:\tx\nState\n"));
  const auto s = parse_status("State:\tS (sleeping)\nSigCgt:\tzz\nUid:\t1\t2\n");
  REQUIRE(s);
  CHECK_FALSE(catches(*s, SIGUSR1));
  CHECK(s->uid == -1);
}

TEST_CASE("a name with brackets and blanks does not shift the fields of stat") {
  const auto t = parse_stat(
      "7330 (no ) R 1 (x) R 7325 7325 23433 0 -1 4194304 2521 0 0 0 43 5 0 0 20 0 7 0 342978 813346816 11624 "
      "0");
  REQUIRE(t);
  CHECK(t->state == 'R');
  CHECK(t->user == 43);
  CHECK(t->system == 5);
  CHECK(t->start == 342978);
  CHECK_FALSE(parse_stat("7330 (node R 1 2 3"));
  CHECK_FALSE(parse_stat("7330 (node) R 1 2 3"));
  CHECK_FALSE(parse_stat(""));
}

TEST_CASE("running and -1 are outside of system calls, a number is inside") {
  CHECK_FALSE(parse_syscall("running\n")->inside);
  CHECK_FALSE(parse_syscall("-1 0x7ffd 0x7f0e\n")->inside);
  CHECK(parse_syscall("running\n")->name == "running");
  const auto read = parse_syscall(std::to_string(SYS_read) + " 0x9 0x7f 0x1 0x0 0x0 0x0 0x7ffd 0x7f0e\n");
  REQUIRE(read);
  CHECK(read->inside);
  CHECK(read->name == "read");
  CHECK(parse_syscall("9999 0x0\n")->name == "system call 9999");
  CHECK_FALSE(parse_syscall(""));
  CHECK_FALSE(parse_syscall("-7 0x0\n"));
  CHECK_FALSE(parse_syscall("abc\n"));
}

TEST_CASE("a kernel stack is its functions, 32 at most") {
  CHECK(parse_kernel_stack("[<0>] futex_wait_queue+0x65/0x90\n[<0>] do_futex+0x1/0x2\n") ==
        std::vector<std::string>{"futex_wait_queue", "do_futex"});
  CHECK(parse_kernel_stack("").empty());
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "[<0>] f+0x1/0x2\n";
  CHECK(parse_kernel_stack(deep).size() == 32);
}

TEST_CASE("a native stack is its names, an address where there is none, without the line that was cut off") {
  const std::string text =
      "PID 1 - process\nTID 1:\n#0  0x00007f0ed0007dd3\n#1  0x00000000018ce0dc v8::Call(int, char*)\n"
      "#2  0x0000000000bb835e _start - /usr/bin/node\n#3  0x0000000000bb835f - /usr/bin/node\n#4  0x000000";
  CHECK(parse_native_stack(text, 20) == std::vector<std::string>{"0x00007f0ed0007dd3", "v8::Call(int, char*)",
                                                                 "_start", "0x0000000000bb835f"});
  CHECK(parse_native_stack(text, 2).size() == 2);
  CHECK(parse_native_stack("#1  0x1 " + std::string(5000, 'x') + "\n", 20)[0].size() == 300);
}

TEST_CASE("a line of /proc/net/tcp gives address, port, state, owner and inode") {
  const auto s = parse_tcp_line(
      "   1: 0100007F:8ED9 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 313688 1 0 "
      "100");
  REQUIRE(s);
  CHECK(s->address == 0x7f000001);
  CHECK(s->port == 36569);
  CHECK(s->listening);
  CHECK(s->uid == 1000);
  CHECK(s->inode == 313688);
  const auto six = parse_tcp_line(
      "   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A "
      "00000000:00000000 "
      "00:00000000 00000000     5        0 77 1");
  REQUIRE(six);
  CHECK(six->port == 80);
  CHECK(six->uid == 5);
  const auto open = parse_tcp_line(
      "   2: 0100007F:8ED9 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 5 1");
  REQUIRE(open);
  CHECK_FALSE(open->listening);
  CHECK_FALSE(
      parse_tcp_line("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"));
  CHECK_FALSE(parse_tcp_line("   1: 0100007F:1FFFF 00000000:0000 0A 0:0 00:0 0 0 0 1 1"));
  CHECK_FALSE(parse_tcp_line(""));
}
