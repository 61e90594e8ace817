"""Log files are put aside by size, by the clock and by command; nothing is lost, doubled or out of order."""

import gzip
import os
import random
import re
import signal
import subprocess
import time
import unittest

from harness import BIN, TendTest, limit, wait_for

# Numbered lines, `count` of them, in writes of one line.
PRINTER = """#!/usr/bin/env python3
import sys, time
for n in range(int(sys.argv[1])):
    sys.stdout.write("line %08d %s\\n" % (n, "x" * 40)); sys.stdout.flush()
    if n % 50 == 0: time.sleep(0.001)
time.sleep(1000)
"""


class Rotation(TendTest):
    def setUp(self):
        super().setUp()
        self.tend.script("printer.py", PRINTER)
        self.logs = self.tend.home / "logs"

    def rotated(self, name="printer-out"):
        """What was put aside, oldest first."""
        found = [p for p in self.logs.glob(f"{name}__*") if re.fullmatch(
            rf"{name}__\d{{4}}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d+)?\.log(\.gz)?", p.name)]
        def age(path):  # of one second: by the number at the end
            stamp, n = re.match(r".*__([\d_-]{19})-?(\d*)\.log", path.name).groups()
            return stamp, int(n or 0)
        return sorted(found, key=age)

    def read(self, path):
        return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()

    def whole(self, name="printer-out"):
        while True:  # a file may be put aside, compressed or deleted between its name and its content
            try:
                return "".join(self.read(p) for p in [*self.rotated(name), self.logs / f"{name}.log"] if p.exists())
            except FileNotFoundError:
                continue

    def numbers(self, prefix=""):
        return [int(m) for m in re.findall(rf"^{prefix}line (\d+) x+$", self.whole(), re.M)]

    def await_lines(self, count, prefix="", timeout=60):
        wait_for(lambda: f"line {count - 1:08d} " in self.whole(), timeout, f"line {count - 1}")
        self.assertEqual(self.numbers(prefix), list(range(count)))

    def test_many_rotations_keep_every_line_once_and_in_order(self):
        self.tend.ok("start", "printer.py", "--log-max-size", "64K", "--log-retain", "0", "--", "20000")
        self.await_lines(20000)
        files = self.rotated()
        self.assertGreaterEqual(len(files), 8)
        self.assertLess(max(p.stat().st_size for p in files), 64 * 1024 + (1 << 20))
        self.assertEqual({p.stat().st_mode & 0o777 for p in files}, {0o600})

    def test_32_a_killed_supervisor_loses_and_doubles_nothing_while_files_are_put_aside(self):
        for words, prefix in ((["--name", "printer"], ""), (["--name", "printer", "--log-date-format", "[at] "], "at : ")):
            with self.subTest(words):
                self.tend.ok("start", "printer.py", "--log-max-size", "32K", "--log-retain", "0", *words, "--", "20000")
                self.tend.supervisor_may_die = True
                dice = random.Random(4)
                for _ in range(12):
                    time.sleep(dice.random() * 0.08)
                    os.kill(self.tend.pids()[0], signal.SIGKILL)
                self.await_lines(20000, re.escape(prefix))
                self.tend.ok("delete", "printer")
                for path in self.logs.glob("printer-*"):
                    path.unlink()

    def test_the_oldest_go_and_the_rest_is_compressed_whole(self):
        self.tend.ok("start", "printer.py", "--log-max-size", "64K", "--log-retain", "3", "--log-compress", "--", "20000")
        self.tend.wait_text(self.logs / "printer-out.log", "x")
        wait_for(lambda: "line 00019999 " in self.whole() and len(self.rotated()) == 3 and
                 all(p.suffix == ".gz" for p in self.rotated()), 60, "three compressed files")
        self.assertEqual(list(self.logs.glob("*.part")), [])
        numbers = self.numbers()
        self.assertEqual(numbers, list(range(numbers[0], 20000)))
        self.assertGreater(numbers[0], 0)

    def test_the_modules_settings_rule_what_runs_already(self):
        self.tend.ok("start", "printer.py", "--", "3000")
        self.await_lines(3000)
        self.assertEqual(self.rotated(), [])
        self.tend.ok("install", "pm2-logrotate")
        self.tend.ok("set", "pm2-logrotate:rotateInterval", "* * * * * *")
        wait_for(lambda: len(self.rotated()) == 1, 10, "the clock's rotation")
        self.assertEqual(self.numbers(), list(range(3000)))
        time.sleep(1.2)
        self.assertEqual(len(self.rotated()), 1)  # an empty file is left alone
        done = self.tend.ok("set", "pm2-logrotate:max_size", "much")
        self.assertIn('pm2-logrotate:max_size: found "much"', done.stderr)
        self.tend.ok("uninstall", "pm2-logrotate")

    def test_a_follower_goes_on_in_the_new_file(self):
        self.tend.script("ticker.sh", "#!/bin/bash\ntrap 'echo tick-$((++n))' USR1\necho up\nwhile :; do sleep 0.02; done\n")
        self.tend.ok("start", "ticker.sh")
        self.tend.wait_text(self.logs / "ticker-out.log", "up")
        child = subprocess.Popen([BIN, "logs", "ticker", "--raw", "--lines", "1"], env=self.tend.env, text=True,
                                 stdout=subprocess.PIPE)
        try:
            self.assertEqual(child.stdout.readline(), "up\n")  # it is there
            for n in (1, 2, 3):
                self.tend.ok("sendSignal", "SIGUSR1", "ticker")
                self.assertEqual(child.stdout.readline(), f"tick-{n}\n")
                self.tend.ok("rotate")
        finally:
            child.kill()
            child.communicate(timeout=limit(5))
        self.assertEqual(len(self.rotated("ticker-out")), 3)

    def test_reload_logs_and_a_signal_to_the_daemon_follow_an_outside_rename(self):
        self.tend.script("ticker.sh", "#!/bin/bash\ntrap 'echo tick' USR1\necho up\nwhile :; do sleep 0.02; done\n")
        self.tend.ok("start", "ticker.sh")
        keeper, log = self.tend.pids()[1], self.logs / "ticker-out.log"
        self.tend.wait_text(log, "up")
        for n, reopen in enumerate((lambda: self.tend.ok("reloadLogs"), lambda: os.kill(keeper, signal.SIGUSR2))):
            log.rename(self.logs / f"old{n}.log")
            reopen()
            time.sleep(0.2)
            self.tend.ok("sendSignal", "SIGUSR1", "ticker")
            self.assertEqual(self.tend.wait_text(log, "tick"), "tick\n")
        self.assertEqual([(self.logs / f"old{n}.log").read_text() for n in (0, 1)], ["up\n", "tick\n"])
        pid = self.tend.app("ticker")["pid"]
        for number in (signal.SIGHUP, signal.SIGUSR1):  # as PM2's daemon, which outlives them
            os.kill(keeper, number)
        self.assertEqual((self.tend.pids()[1], self.tend.app("ticker")["pid"]), (keeper, pid))
        ignored = int(re.search(r"SigIgn:\s+(\w+)", open(f"/proc/{pid}/status").read())[1], 16)
        self.assertEqual(ignored & 0x201, 0)  # apps have the defaults of both

    def test_the_daemons_own_log_is_bounded_and_made_anew(self):
        self.tend.ok("start", "printer.py", "--", "1")
        log, aside = self.tend.home / "tend.log", self.tend.home / "tend.log.1"
        log.rename(self.tend.home / "moved.log")
        self.tend.ok("restart", "printer")
        time.sleep(1.2)  # it may be that the whole home is being removed
        self.tend.ok("restart", "printer")
        self.tend.wait_text(log, "online")
        self.assertNotIn("took over", log.read_text())
        os.truncate(log, 10_000_000)
        self.tend.ok("restart", "printer")
        wait_for(lambda: log.stat().st_size < 10_000 and "online" in log.read_text(), what="a new log")
        self.assertEqual(aside.stat().st_size, 10_000_000)
        self.assertEqual([p.stat().st_mode & 0o777 for p in (log, aside)], [0o600, 0o600])


if __name__ == "__main__":
    unittest.main()
