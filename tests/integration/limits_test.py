"""What an app may use, what it is kept from, and who ended it."""

import os
import re
import signal
import unittest
from pathlib import Path

from harness import TendTest, wait_for

GREEDY = """const held = [];
setInterval(() => { held.push(Buffer.alloc(20 << 20, 1)); console.log(held.length * 20); }, 20);
"""


def cgroup_of(pid):
    """The folder of its cgroup v2; None without one."""
    own = re.search(r"^0::(.*)$", Path(f"/proc/{pid}/cgroup").read_text(), re.M)
    mounts = re.search(r"^\S+ (\S+) cgroup2 ", Path("/proc/mounts").read_text(), re.M)
    return Path(mounts[1] + own[1]) if own and mounts else None


class Limits(TendTest):
    def start(self, *flags, script="sleeper.sh", name="app"):
        self.tend.sleeper()
        self.tend.ok("start", script, "--name", name, *flags)
        pid = self.tend.app(name)["pid"]
        wait_for(lambda: b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes(), what="the program")
        return pid

    def status(self, pid, field):
        return re.search(rf"^{field}:\s+(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M)[1]

    def row_of(self, name="app"):
        return self.tend.ok("describe", name).stdout

    def test_45_each_limit_is_kept_by_the_cgroup_or_it_is_said_that_it_is_not(self):
        self.tend.sleeper()
        self.tend.ok("start", self.tend.json_file("apps.json", {"apps": [{
            "name": "app", "script": "sleeper.sh", "limits": {"memory": "300M", "cpu": 0.5, "pids": 50, "nofile": 99}}]}))
        pid = self.tend.app("app")["pid"]
        self.assertRegex(Path(f"/proc/{pid}/limits").read_text(), r"Max open files +99 ")
        group, said = cgroup_of(pid), self.row_of()
        for name, file, value in (("limit_memory", "memory.max", str(300 << 20)), ("limit_cpu", "cpu.max", "50000 100000"),
                                  ("limit_pids", "pids.max", "50")):
            with self.subTest(name):
                if group and (group / file).exists() and "tend-" in str(group):
                    self.assertEqual((group / file).read_text().strip(), value)
                else:
                    self.assertRegex(said, rf"no cgroup v2 with the controllers needed is ours: .*{name}")
        if "limit_memory holds" in said:
            self.assertRegex(Path(f"/proc/{pid}/limits").read_text(), rf"Max data size +{300 << 20} ")
            self.assertIn("limit_memory holds", self.tend.read(self.tend.home / "tend.log"))

    def test_a_greedy_app_of_node_ends_by_its_limit_and_not_the_machines(self):
        self.tend.script("greedy.js", GREEDY)
        self.tend.ok("start", "greedy.js", "--limit-memory", "300M", "--no-autorestart")
        wait_for(lambda: self.tend.app("greedy")["pm2_env"]["status"] == "stopped", 30, "its end")
        held = [int(n) for n in re.findall(r"^(\d+)$", self.tend.read(self.tend.out_log("greedy")), re.M)]
        self.assertGreater(held[-1], 100)
        self.assertLess(held[-1], 320)

    def test_a_limit_that_is_not_kept_is_said_at_the_start(self):
        tend = self.make_tend()
        tend.env["TEND_NO_CGROUP"] = "1"
        tend.sleeper()
        done = tend.ok("start", "sleeper.sh", "-i", "3", "--limit-cpu", "1.5", "--limit-memory", "1G")
        self.assertEqual(done.stderr, "tend: warning: sleeper: no cgroup v2 with the controllers needed is ours: "
                         "limit_memory holds for the data of each process; limit_cpu is not kept\n")
        done = tend.ok("start", "sleeper.sh", "--name", "free")
        self.assertEqual(done.stderr, "")

    def test_what_a_process_is_born_with(self):
        pid = self.start("--no-new-privs", "--oom-score-adj", "321", "--cpu-affinity", "0")
        self.assertEqual(self.status(pid, "NoNewPrivs"), "1")
        self.assertEqual(self.status(pid, "Cpus_allowed_list"), "0")
        self.assertEqual(Path(f"/proc/{pid}/oom_score_adj").read_text().strip(), "321")

    def test_a_cpu_that_is_not_there_is_an_exact_reason(self):
        self.tend.sleeper()
        done = self.tend.run("start", "sleeper.sh", "--cpu-affinity", "0,1000-1001")
        if os.sched_getaffinity(0) == {0}:
            self.skipTest("one CPU")
        self.assertEqual(done.returncode, 0, done.stderr)  # those that are there
        done = self.tend.run("start", "sleeper.sh", "--name", "none", "--cpu-affinity", "1000-1001")
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot set cpu_affinity of", done.stderr)
        for words, accepted in ((("--limit-cpu", "5x"), "cores as 1.5, or a part of one as 50%"),
                                (("--oom-score-adj", "1001"), "-1000..1000"),
                                (("--cpu-affinity", "3-1"), "0..1023")):
            done = self.tend.run("start", "sleeper.sh", *words)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(accepted, done.stderr)

    def test_each_end_says_by_what_and_by_whom(self):
        self.tend.script("ends.sh", "#!/bin/sh\nexit 7\n")
        self.tend.ok("start", "ends.sh", "--no-autorestart")
        wait_for(lambda: self.tend.app("ends")["pm2_env"]["status"] == "stopped", what="its end")
        self.assertIn("exited with code 7", self.row_of("ends"))
        self.assertNotIn("signal", self.row_of("ends"))
        pid = self.start()
        for number, text in ((signal.SIGKILL, "killed by SIGKILL, sent by another process"),
                             (signal.SIGUSR1, "killed by SIGUSR1, sent by another process or itself"),
                             (signal.SIGSEGV, r"killed by SIGSEGV(, core dumped)?, a fault of its own")):
            os.kill(pid, number)
            wait_for(lambda: self.tend.app("app")["pid"] not in (0, pid), what="its successor")
            self.assertRegex(self.row_of(), text)
            self.assertRegex(self.row_of(), f"last exit .* signal {number.name} ")
            pid = self.tend.app("app")["pid"]
            wait_for(lambda: b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes(), what="the program")
            self.tend.supervisor_may_die = True
            os.kill(self.tend.pids()[0], signal.SIGKILL)
            self.assertRegex(self.row_of(), text)  # known to its successor
        self.tend.ok("stop", "app")
        self.assertIn("tend stop app", self.row_of())

    def test_what_the_kernel_ends_for_want_of_memory_is_said_so(self):
        pid = self.start("--limit-memory", "30M")
        group = cgroup_of(pid)
        if not group or not (group / "memory.max").exists() or "tend-" not in str(group):
            self.skipTest("no cgroup v2 with a memory controller is ours here")
        self.tend.script("greedy.py", "held = []\nwhile True:\n    held.append(bytearray(1 << 20))\n")
        self.tend.ok("start", "greedy.py", "--limit-memory", "30M", "--no-autorestart")
        wait_for(lambda: self.tend.app("greedy")["pm2_env"]["status"] == "stopped", 20, "its end")
        self.assertIn("killed by SIGKILL, by the kernel for want of memory, limit_memory 30M", self.row_of("greedy"))


if __name__ == "__main__":
    unittest.main()
