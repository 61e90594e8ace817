"""Restarts by memory and by the clock."""

import os
import signal
import time
import unittest
import urllib.request

from harness import TendTest, free_port, port_is_free, wait_for


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

    def test_four_instances_are_restarted_by_one_tick_and_one_timer(self):
        self.tend.ok("start", "sleep", "--name", "s", "-i", "4", "--cron", "*/3 * * * * *", "--", "1000")
        wait_for(lambda: {r["pm2_env"]["restart_time"] for r in self.tend.jlist()} == {1}, 15, "one restart of each")
        log = self.tend.read(self.tend.home / "tend.log")
        self.assertEqual(log.count("Registering a cron job on: s"), 1)
        self.tend.ok("restart", "s", "--cron", "0")
        before = [r["pm2_env"]["restart_time"] for r in self.tend.jlist()]
        self.assertIn("Deregistering a cron job on: s", self.tend.read(self.tend.home / "tend.log"))
        time.sleep(3.2)
        self.assertEqual([r["pm2_env"]["restart_time"] for r in self.tend.jlist()], before)

    def test_a_tick_that_a_killed_supervisor_did_not_come_to_is_made_up_for_once(self):
        self.tend.supervisor_may_die = True
        tick = int(time.time()) + 3
        at = time.strftime("%S %M %H * * *", time.localtime(tick))
        self.tend.ok("start", "sleep", "--name", "s", "-i", "2", "--cron", at, "--", "1000")
        self.tend.ok("start", "sleep", "--name", "late", "-f", "--cron", at, "--", "1000")
        supervisor = self.tend.pids()[0]
        self.tend.ok("stop", "late")
        time.sleep(max(0, tick - 0.3 - time.time()))
        os.kill(supervisor, signal.SIGSTOP)
        time.sleep(max(0, tick + 0.3 - time.time()))
        os.kill(supervisor, signal.SIGKILL)
        seen = lambda: [(r["name"], r["pm2_env"]["restart_time"], r["pm2_env"]["status"]) for r in self.tend.jlist()]
        wait_for(lambda: [n for _, n, _ in seen()][:2] == [1, 1], what="both restarted")
        wait_for(lambda: self.tend.status("late") == "online", what="the stopped one started")
        before = seen()
        os.kill(self.tend.pids()[0], signal.SIGKILL)
        time.sleep(0.5)
        self.assertEqual(seen(), before)

    def test_a_zone_is_taken_from_the_option_and_from_the_pattern(self):
        self.tend.ok("start", "sleep", "--name", "a", "--cron", "*/2 * * * * *", "--cron-timezone", "Asia/Kolkata", "--",
                     "1000")
        self.tend.ok("start", "sleep", "--name", "b", "-f", "--cron", "CRON_TZ=Europe/Berlin */2 * * * * *", "--", "1000")
        wait_for(lambda: self.restarts("a") >= 1 and self.restarts("b") >= 1, 15, "both")
        for flags in (["--cron", "TZ=No/Where @daily"], ["--cron-timezone", "No/Where"]):
            done = self.tend.run("start", "sleep", "--name", "c", "-f", *flags, "--", "1000")
            self.assertEqual(done.returncode, 1)
            self.assertIn("No/Where", done.stderr)

    def test_a_tree_is_summed_where_that_is_asked_for(self):
        self.tend.script("parent.py", "import os, subprocess, time\n"
                         "code = 'keep = b\"x\" * (80 << 20); import time; time.sleep(1000)'\n"
                         "if not os.path.exists('mark' + os.environ['name']):\n"
                         "    open('mark' + os.environ['name'], 'w').close()\n"
                         "    subprocess.Popen(['python3', '-c', code])\n"
                         "time.sleep(1000)\n")
        for scope in ("main", "tree"):
            self.tend.ok("start", "parent.py", "--name", scope, "-f", "--max-memory-restart", "60M", "--memory-scope",
                         scope, env={"name": scope})
        wait_for(lambda: self.restarts("tree") == 1, 30, "a restart")
        self.assertEqual(self.restarts("main"), 0)

    def test_a_cluster_above_its_limit_is_reloaded_without_a_gap(self):
        self.need("node")
        port = free_port()
        self.tend.script("grow.js", "const fs = require('fs');\n"
                         "const keep = fs.existsSync('grown') ? null : Buffer.alloc(200 << 20, 1);\n"
                         "fs.writeFileSync('grown', '');\n"
                         "require('http').createServer((q, r) => r.end('' + process.pid + (keep ? '+' : '')))"
                         f".listen({port}, '127.0.0.1');\n")
        self.tend.ok("start", "grow.js", "-i", "1", "--max-memory-restart", "150M")
        wait_for(lambda: not port_is_free(port), 20, "the server")
        failed = 0
        end = time.monotonic() + 30
        while self.restarts("grow") == 0 and time.monotonic() < end:
            for _ in range(20):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
                except OSError:
                    failed += 1
        self.assertEqual(self.restarts("grow"), 1)
        self.assertEqual(failed, 0)
        self.assertIn("memory", self.tend.ok("describe", "grow").stdout)
        self.assertIn("reload", self.tend.read(self.tend.home / "tend.log"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
