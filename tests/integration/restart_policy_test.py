"""What happens when an app ends by itself."""

import os
import signal
import time
import unittest

from harness import TendTest, alive, wait_for


class RestartPolicy(TendTest):
    def restarts(self, name):
        return self.tend.app(name)["pm2_env"]["restart_time"]

    def test_26_a_crash_loop_ends_errored_after_fifteen_restarts(self):
        self.tend.script("crash.sh", "exit 3\n")
        self.tend.run("start", "crash.sh")
        record = self.tend.wait_status("crash", "errored", timeout=20)
        self.assertEqual(record["pm2_env"]["restart_time"], 15)
        self.assertEqual(record["pm2_env"]["exit_code"], 3)
        self.assertEqual(record["pid"], 0)

    def test_max_restarts_sets_the_bound(self):
        self.tend.script("crash.sh", "exit 3\n")
        self.tend.run("start", "crash.sh", "--max-restarts", "4")
        self.assertEqual(self.tend.wait_status("crash", "errored")["pm2_env"]["restart_time"], 3)

    def test_an_errored_app_starts_again_on_request(self):
        self.tend.script("once.sh", "test -e go || exit 3\nexec sleep 1000\n")
        self.tend.run("start", "once.sh", "--max-restarts", "2")
        self.tend.wait_status("once", "errored")
        (self.tend.work / "go").touch()
        self.tend.ok("restart", "once")
        self.assertEqual(self.tend.status("once"), "online")

    def test_restart_delay_is_shown_and_kept(self):
        self.tend.script("crash.sh", "date +%s%N >> began; exit 1\n")
        self.tend.run("start", "crash.sh", "--restart-delay", "1500ms")
        self.tend.wait_status("crash", "waiting restart")
        wait_for(lambda: self.tend.read("began").count("\n") >= 2, what="a second start")
        first, second = map(int, self.tend.read("began").split()[:2])
        self.assertGreaterEqual(second - first, 1_490_000_000)
        self.tend.ok("stop", "crash")
        self.assertEqual(self.tend.status("crash"), "stopped")

    def test_restart_during_the_delay_starts_at_once(self):
        self.tend.script("once.sh", "test -e go || exit 3\nexec sleep 1000\n")
        self.tend.run("start", "once.sh", "--restart-delay", "600s")
        self.tend.wait_status("once", "waiting restart")
        (self.tend.work / "go").touch()
        self.tend.ok("restart", "once")
        self.assertEqual(self.tend.status("once"), "online")

    def test_26_exponential_backoff_grows(self):
        self.tend.script("crash.sh", "date +%s%N >> began; exit 1\n")
        self.tend.run("start", "crash.sh", "--exp-backoff-restart-delay", "100")
        wait_for(lambda: self.tend.read("began").count("\n") >= 5, what="five starts")
        at = [int(x) / 1e6 for x in self.tend.read("began").split()[:5]]
        gaps = [b - a for a, b in zip(at, at[1:])]
        for gap, least in zip(gaps, (100, 150, 225, 337)):
            self.assertGreaterEqual(gap, least - 5)

    def test_a_stop_exit_code_is_the_end(self):
        self.tend.script("done.sh", "sleep 0.1; exit 7\n")
        self.tend.run("start", "done.sh", "--stop-exit-codes", "7")
        record = self.tend.wait_status("done", "stopped")
        self.assertEqual((record["pm2_env"]["restart_time"], record["pm2_env"]["exit_code"]), (0, 7))

    def test_exit_code_zero_is_restarted_too(self):
        self.tend.script("zero.sh", "sleep 0.2; exit 0\n")
        self.tend.run("start", "zero.sh")
        wait_for(lambda: self.restarts("zero") >= 1, what="a restart")

    def test_a_restart_leaves_no_descriptor_open(self):
        self.tend.ok("start", self.tend.sleeper())
        supervisor = self.tend.pids()[0]

        def descriptors():
            self.tend.jlist()  # looks at the process: its usage is read from a held descriptor
            return len(os.listdir(f"/proc/{supervisor}/fd"))

        before = descriptors()
        for _ in range(10):
            self.tend.ok("restart", "sleeper")
            descriptors()
        wait_for(lambda: descriptors() <= before, what="as many descriptors as before ten restarts")

    def test_without_autorestart_the_first_exit_is_the_end(self):
        self.tend.script("once.sh", "echo ran >> runs; exit 5\n")
        self.tend.run("start", "once.sh", "--no-autorestart")
        self.assertEqual(self.tend.wait_status("once", "stopped")["pm2_env"]["exit_code"], 5)
        self.assertEqual(self.tend.read("runs"), "ran\n")

    def test_a_killed_app_is_replaced(self):
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        pid = self.tend.app("s")["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.tend.app("s")["pid"] not in (0, pid), what="a successor")
        self.assertFalse(alive(pid))
        self.assertEqual(self.restarts("s"), 1)
        self.assertEqual(self.tend.status("s"), "online")

    def test_an_app_older_than_min_uptime_is_not_counted_unstable(self):
        self.tend.ok("start", self.tend.json_file("e.json", {"name": "s", "script": "sleep", "args": "1000",
                                                             "min_uptime": "100"}))
        time.sleep(0.2)  # its age is the matter of the test
        os.kill(self.tend.app("s")["pid"], signal.SIGKILL)
        wait_for(lambda: self.restarts("s") == 1, what="a restart")
        self.assertEqual(self.tend.app("s")["pm2_env"]["unstable_restarts"], 0)

    def test_26_an_app_younger_than_min_uptime_is_counted_unstable(self):
        self.tend.ok("start", self.tend.json_file("e.json", {"name": "s", "script": "sleep", "args": "1000",
                                                             "min_uptime": "1h"}))
        os.kill(self.tend.app("s")["pid"], signal.SIGKILL)
        wait_for(lambda: self.restarts("s") == 1, what="a restart")
        self.assertEqual(self.tend.app("s")["pm2_env"]["unstable_restarts"], 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
