"""Disks that are full, broken or read-only: apps run on, what was kept stays, and what is lost is told."""

import os
import signal
import unittest

from faults import MountTest, break_ext4, fill, refusing
from harness import alive, wait_for

WRITER = """import sys, time
n = 0
while True:
    print('line %d %s' % (n, 'x' * 100), flush=True); n += 1
    time.sleep(0.0005)
"""


class FaultDisk(MountTest):
    def setUp(self):
        super().setUp()
        self.tend.supervisor_may_die = True

    def sleeper_pid(self, name="s"):
        self.tend.ok("start", "sleep", "--name", name, "-f", "--", "1000")
        return self.tend.app(name)["pid"]

    def kill_app(self, name):
        """It dies as by a crash and is started again; returns the new pid."""
        old = self.tend.app(name)["pid"]
        os.kill(old, signal.SIGKILL)
        return wait_for(lambda: (self.tend.app(name) or {}).get("pid", 0) not in (0, old) and self.tend.app(name)["pid"],
                        what=f"a new process of {name}")

    def kill_supervisor(self):
        supervisor, _ = self.tend.pids()
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: not alive(supervisor), what="the supervisor's end")

    def not_durable(self):
        return "not durable" in self.tend.run("list").stderr

    def test_11_full_disk_under_the_state_keeps_the_old_one(self):
        self.tmpfs(self.tend.home)
        self.sleeper_pid()
        self.tend.ok("save")
        dump = (self.tend.home / "dump.json").read_bytes()
        journal = (self.tend.home / "journal").read_bytes()
        filler = fill(self.tend.home)
        # What is asked for is done, and it is said that it is not kept. (The last page of a file has some room left.)
        done = self.tend.run("start", "sleep", "--name", "big", "-f", "--", "1000", env={"BIG": "x" * 9000})
        self.assertEqual(self.tend.status("big"), "online", done.stderr)
        self.assertIn("not durable", done.stderr)
        done = self.tend.run("stop", "s")
        self.assertIn("not durable", done.stderr)
        self.assertEqual(self.tend.status("s"), "stopped")
        self.assertTrue(self.not_durable())
        done = self.tend.run("save")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("No space left", done.stderr)
        self.assertEqual((self.tend.home / "dump.json").read_bytes(), dump)
        self.assertTrue((self.tend.home / "journal").read_bytes().startswith(journal))
        # Supervision needs no disk.
        self.tend.run("start", "s")
        self.kill_app("s")
        filler.unlink()
        wait_for(lambda: not self.not_durable(), what="a journal that is written again")
        self.tend.ok("save")
        pid = self.tend.app("s")["pid"]
        self.kill_supervisor()
        self.assertEqual((self.tend.app("s")["pid"], self.tend.status("s")), (pid, "online"))

    def test_11_a_supervisor_that_dies_with_a_full_disk_still_has_its_apps(self):
        self.tmpfs(self.tend.home)
        pid = self.sleeper_pid()
        fill(self.tend.home)
        self.kill_supervisor()
        self.assertEqual(self.tend.app("s")["pid"], pid)
        self.kill_app("s")

    def test_12_full_disk_under_the_logs_drops_counts_and_recovers(self):
        logs = self.tend.home / "logs"
        self.sleeper_pid()
        self.tmpfs(logs, "400k")
        filler = fill(logs)
        self.tend.script("writer.py", WRITER)
        self.tend.ok("start", "writer.py", "--name", "w")
        pid = self.tend.app("w")["pid"]
        wait_for(lambda: "bytes of its log could not be written" in self.tend.run("list").stderr, what="the counter")
        self.assertIn("log bytes lost", self.tend.ok("describe", "w").stdout)
        self.assertEqual((self.tend.app("w")["pid"], self.tend.status("w")), (pid, "online"))
        self.assertFalse(self.not_durable())
        filler.unlink()
        wait_for(lambda: self.tend.out_log("w").stat().st_size > 20000, what="lines again")
        self.tend.ok("stop", "w")
        self.assertRegex(self.tend.read(self.tend.out_log("w")), r"(?m)^line \d+ x{100}$")
        self.assertIn("is written again", self.tend.read(self.tend.home / "tend.log"))

    def test_13_a_disk_that_fails_under_the_whole_home_stops_no_app(self):
        self.ext4(self.tend.home, self.tend.dir / "image")
        self.tend.script("writer.py", WRITER)
        self.tend.ok("start", "writer.py", "--name", "w")
        pid = self.sleeper_pid()
        writer = self.tend.app("w")["pid"]
        self.tend.wait_text(self.tend.out_log("w"), "line 20 ")
        break_ext4(self.tend.home)
        done = self.tend.run("stop", "s")
        self.assertEqual(self.tend.status("s"), "stopped", done.stderr)
        self.assertFalse(alive(pid))
        self.assertIn("not durable", done.stderr)
        wait_for(lambda: "bytes of its log could not be written" in self.tend.run("list").stderr, what="the counter")
        self.assertEqual(self.tend.app("w")["pid"], writer)
        self.assertNotEqual(self.tend.run("save").returncode, 0)
        self.kill_app("w")
        # The successor reads what is there and goes on; nothing that lives is ended.
        writer = self.tend.app("w")["pid"]
        self.kill_supervisor()
        self.assertEqual(self.tend.app("w")["pid"], writer)

    def test_13_a_home_that_became_read_only_harms_nobody(self):
        self.tmpfs(self.tend.home)
        pid = self.sleeper_pid()
        self.bind(self.tend.home, self.tend.home, read_only=True)
        self.kill_supervisor()
        self.assertEqual(self.tend.app("s")["pid"], pid)
        self.kill_app("s")

    def test_13_writes_of_the_journal_that_fail_are_told_and_made_up_for(self):
        self.sleeper_pid()
        supervisor, _ = self.tend.pids()
        journal = self.tend.home / "journal"
        with refusing(self, supervisor, "write:error=EIO", "-P", str(journal)):
            done = self.tend.run("stop", "s")
            self.assertIn("not durable", done.stderr)
            self.assertEqual(self.tend.status("s"), "stopped")
        wait_for(lambda: not self.not_durable(), what="a journal that is written again")
        self.kill_supervisor()
        self.assertEqual(self.tend.status("s"), "stopped")


if __name__ == "__main__":
    unittest.main(verbosity=2)
