"""Too few descriptors, processes, watches and control groups: refused with words, tried again, nothing ends."""

import os
import signal
import time
import unittest
from pathlib import Path

from faults import MountTest, cpu_ticks, limit_files, refusing
from harness import SCALE, TendTest, alive, limit, wait_for

FORKS = "clone,clone3,fork,vfork"


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class FaultForks(TendTest):
    def test_10_no_room_for_a_process_waits_tells_and_recovers(self):
        self.need("strace")
        self.tend.ok("start", "sleep", "--name", "old", "--", "1000")
        old = self.tend.app("old")["pid"]
        _, keeper = self.tend.pids()
        with refusing(self, keeper, f"{FORKS}:error=EAGAIN", "-e", f"trace={FORKS}"):
            done = self.tend.run("start", "sleep", "--name", "new", "-f", "--", "1000")
            self.assertEqual(done.returncode, 1)
            self.assertIn("Resource temporarily unavailable", done.stderr)
            self.assertIn("tried again", done.stderr)
            self.assertEqual(self.tend.status("new"), "waiting restart")
            # One that ran before waits too, and is not given up however often it is tried.
            os.kill(old, signal.SIGKILL)
            self.tend.wait_status("old", "waiting restart")
            tries = self.tend.app("new")["pm2_env"]["restart_time"]
            wait_for(lambda: self.tend.app("new")["pm2_env"]["restart_time"] >= tries + 2, what="more tries")
            self.assertEqual(self.tend.status("new"), "waiting restart")
        for name in ("old", "new"):
            self.tend.wait_status(name, "online", 20)

    def test_10_no_memory_for_a_process_is_the_same(self):
        self.need("strace")
        self.tend.ok("start", "sleep", "--name", "a", "--", "1000")
        _, keeper = self.tend.pids()
        with refusing(self, keeper, f"{FORKS}:error=ENOMEM", "-e", f"trace={FORKS}"):
            os.kill(self.tend.app("a")["pid"], signal.SIGKILL)
            self.tend.wait_status("a", "waiting restart")
            self.assertIn("Cannot allocate memory", self.tend.ok("describe", "a").stdout)
            # What waits can be stopped, and stays so.
            self.tend.ok("stop", "a")
        self.assertEqual(self.tend.status("a"), "stopped")
        self.tend.ok("start", "a")


class FaultFiles(TendTest):
    def test_09_each_descriptor_that_the_supervisor_lacks_is_refused_with_words(self):
        if SCALE > 1:
            self.skipTest("UBSan looks at an object through a pipe, and without a descriptor takes it for a wrong one")
        self.tend.ok("start", "sleep", "--name", "old", "--", "1000")
        pid = self.tend.app("old")["pid"]
        supervisor, _ = self.tend.pids()
        has = open_files(supervisor)
        for more in range(0, 14):
            limit_files(supervisor, has + more)
            done = self.tend.run("start", "sleep", "--name", f"n{more}", "-f", "--timeout", "2s", "--", "1000")
            self.assertTrue(done.returncode == 0 or done.stderr.strip(), f"{more} more: {done}")
        limit_files(supervisor, has + 500)
        self.assertEqual((self.tend.app("old")["pid"], self.tend.pids()[0]), (pid, supervisor))
        wait_for(lambda: all(r["pm2_env"]["status"] == "online" for r in self.tend.jlist()), 20, "all that was asked for")

    def test_09_callers_without_a_descriptor_make_no_busy_loop(self):
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        supervisor, _ = self.tend.pids()
        limit_files(supervisor, 5)  # below all that it holds
        callers = [self.tend.popen("list", "--timeout", "1s") for _ in range(20)]
        before, began = cpu_ticks(supervisor), time.monotonic()
        for caller in callers:
            _, err = caller.communicate(timeout=limit(30))
            self.assertNotEqual((caller.returncode, err), (0, ""))
        used = (cpu_ticks(supervisor) - before) / os.sysconf("SC_CLK_TCK")
        self.assertLess(used, 0.3 * max(1.0, time.monotonic() - began))
        limit_files(supervisor, 1000)
        self.assertEqual(self.tend.status("s"), "online")
        self.assertIn("no descriptor is left", self.tend.read(self.tend.home / "tend.log"))

    def test_09_each_descriptor_that_the_keeper_lacks_costs_a_start_and_no_app(self):
        self.tend.ok("start", "sleep", "--name", "old", "--", "1000")
        pid = self.tend.app("old")["pid"]
        _, keeper = self.tend.pids()
        has = open_files(keeper)
        for more in range(0, 14, 2):
            limit_files(keeper, has + more)
            done = self.tend.run("start", "sleep", "--name", f"n{more}", "-f", "--timeout", "3s", "--", "1000")
            self.assertTrue(done.returncode == 0 or done.stderr.strip(), f"{more} more: {done}")
            has = max(has, open_files(keeper))
        limit_files(keeper, has + 500)
        self.assertTrue(alive(keeper))
        self.assertEqual(self.tend.app("old")["pid"], pid)
        wait_for(lambda: all(r["pm2_env"]["status"] == "online" for r in self.tend.jlist()), 20, "all that was asked for")


if __name__ == "__main__":
    unittest.main(verbosity=2)
