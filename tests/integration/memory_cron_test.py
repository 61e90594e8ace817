"""Restarts by memory and by the clock."""

import unittest

from harness import TendTest, wait_for


class MemoryAndCron(TendTest):
    def restarts(self, name):
        return self.tend.app(name)["pm2_env"]["restart_time"]

    def test_an_app_above_max_memory_restart_is_restarted_with_that_cause(self):
        # Grows once: the successor finds the mark and stays small.
        self.tend.script("grow.py", "import os, time\n"
                         "keep = b'' if os.path.exists('grown') else b'x' * (80 << 20)\n"
                         "open('grown', 'w').close()\ntime.sleep(1000)\n")
        self.tend.ok("start", "grow.py", "--max-memory-restart", "60M")
        wait_for(lambda: self.restarts("grow") == 1, 45, "a restart")
        self.assertRegex(self.tend.ok("describe", "grow").stdout, r"(?i)memory")
        self.assertEqual(self.tend.status("grow"), "online")

    def test_an_app_below_its_limit_is_left_alone(self):
        self.tend.ok("start", "sleep", "--name", "s", "--max-memory-restart", "100M", "--", "1000")
        self.tend.ok("start", "sleep", "--name", "clock", "--cron", "* * * * * *", "-f", "--", "1000")
        wait_for(lambda: self.restarts("clock") >= 2, 15, "two seconds of cron")
        self.assertEqual(self.restarts("s"), 0)

    def test_cron_restarts_each_second_with_that_cause(self):
        self.tend.ok("start", "sleep", "--name", "s", "--cron", "*/1 * * * * *", "--", "1000")
        wait_for(lambda: self.restarts("s") >= 2, 15, "two restarts")
        self.assertRegex(self.tend.ok("describe", "s").stdout, r"(?i)cron")

    def test_cron_starts_a_stopped_app(self):
        self.tend.ok("start", "sleep", "--name", "s", "--cron", "*/2 * * * * *", "--", "1000")
        done = self.tend.ok("stop", "s")
        self.assertRegex(done.stdout + done.stderr, r"(?i)cron")
        self.tend.wait_status("s", "online")

    def test_a_bad_pattern_starts_nothing(self):
        done = self.tend.run("start", "sleep", "--name", "s", "--cron", "99 * * * *", "--", "1000")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("99", done.stderr)
        self.assertEqual(self.tend.jlist(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
