"""The supervisor is killed thirty times; no app notices."""

import os
import re
import signal
import time
import unittest

from harness import SCALE, TendTest, alive, wait_for

KILLS = 30
# Prints numbered lines without end, as fast as 2,000 a second; a number in a file survives the writer.
WRITER = """import sys, time
n = 0
while True:
    for _ in range(20):
        print('line %d' % n); n += 1
    sys.stdout.flush()
    time.sleep(0.01)
"""
SAYER = "trap 'echo bye; exit 0' INT TERM; echo begun; while :; do sleep 0.05; done\n"


class SupervisorKill(TendTest):
    def setUp(self):
        super().setUp()
        self.tend.supervisor_may_die = True

    def kill_supervisor(self):
        supervisor, keeper = self.tend.pids()
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: not alive(supervisor), what="the supervisor's end")
        # The listener outlived it: the command waits in its backlog.
        now, same = self.tend.pids()
        self.assertNotEqual(now, supervisor)
        self.assertEqual(same, keeper)

    @staticmethod
    def facts(records):
        return [(r["pm_id"], r["name"], r["pid"], r["pm2_env"]["status"], r["pm2_env"]["restart_time"],
                 r["pm2_env"]["pm_uptime"], r["pm2_env"]["created_at"], r["pm2_env"]["unstable_restarts"])
                for r in records]

    def assert_numbered(self, text):
        numbers = [int(n) for n in re.findall(r"(?m)line (\d+)$", text[:text.rindex("\n") + 1])]
        wrong = next((n for n, (a, b) in enumerate(zip(numbers, range(len(numbers)))) if a != b), None)
        self.assertIsNone(wrong, wrong is not None and
                          f"after line {wrong - 1} came {numbers[max(0, wrong - 2):wrong + 3]}")
        return len(numbers)

    def test_thirty_kills_change_nothing_and_lose_no_line(self):
        self.tend.script("writer.py", WRITER)
        self.tend.ok("start", "writer.py", "--name", "raw")
        self.tend.ok("start", "writer.py", "--name", "timed", "--time", "-f")
        self.tend.ok("start", "sleep", "--name", "quiet", "--", "1000")
        self.tend.ok("restart", "quiet")
        self.tend.ok("start", "sleep", "--name", "rests", "-f", "--", "1000")
        self.tend.ok("stop", "rests")
        before = self.facts(self.tend.jlist())
        for count in range(KILLS):
            self.kill_supervisor()
            self.assertEqual(self.facts(self.tend.jlist()), before, f"after kill {count + 1}")
            time.sleep(0.01 * (count % 7))  # hit each phase of the recovery, not always the same
        for name in ("raw", "timed"):
            log = self.tend.out_log(name)
            size = log.stat().st_size
            wait_for(lambda: log.stat().st_size > size, what="more lines")
        self.tend.ok("stop", "raw", "timed")
        for name in ("raw", "timed"):
            self.assertGreater(self.assert_numbered(self.tend.read(self.tend.out_log(name))), 100)

    def test_an_app_that_ended_while_nobody_watched_is_restarted(self):
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        pid = self.tend.app("s")["pid"]
        supervisor, _ = self.tend.pids()
        # Stopped, not dead: it cannot notice the exit before it dies.
        os.kill(supervisor, signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid), what="the app's end")
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: self.tend.app("s")["pid"] not in (0, pid), what="a successor")
        record = self.tend.app("s")
        self.assertEqual((record["pm2_env"]["restart_time"], record["pm2_env"]["status"]), (1, "online"))

    def test_a_stop_code_seen_by_nobody_is_still_obeyed(self):
        self.tend.script("ends.sh", "trap 'exit 9' USR1; echo up; while :; do sleep 0.02; done\n")
        self.tend.ok("start", "ends.sh", "--stop-exit-codes", "9")
        self.tend.wait_text(self.tend.out_log("ends"), "up\n")
        pid = self.tend.app("ends")["pid"]
        supervisor, _ = self.tend.pids()
        os.kill(supervisor, signal.SIGSTOP)
        os.kill(pid, signal.SIGUSR1)
        wait_for(lambda: not alive(pid), what="the app's end")
        os.kill(supervisor, signal.SIGKILL)
        record = self.tend.wait_status("ends", "stopped")
        self.assertEqual((record["pm2_env"]["exit_code"], record["pm2_env"]["restart_time"]), (9, 0))

    def test_a_restart_delay_goes_on_under_the_successor(self):
        self.tend.script("crash.sh", "echo began >> began; exit 1\n")
        self.tend.run("start", "crash.sh", "--restart-delay", f"{int(1500 * SCALE)}ms")
        self.tend.wait_status("crash", "waiting restart")
        self.kill_supervisor()
        wait_for(lambda: self.tend.read("began").count("\n") >= 2, what="the second start")

    def test_a_deaf_app_is_still_killed_by_the_successor(self):
        self.tend.script("deaf.py", "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
                         "print('deaf', flush=True)\ntime.sleep(1000)\n")
        self.tend.ok("start", "deaf.py", "--kill-timeout", "1500")
        self.tend.wait_text(self.tend.out_log("deaf"), "deaf\n")
        pid = self.tend.app("deaf")["pid"]
        child = self.tend.popen("stop", "deaf")
        self.tend.wait_status("deaf", "stopping")
        self.kill_supervisor()
        child.communicate(timeout=60)  # what it answers is another matter
        wait_for(lambda: not alive(pid), what="the app's end")
        self.tend.wait_status("deaf", "stopped")

    def test_a_stopped_app_stays_stopped(self):
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        self.tend.ok("stop", "s")
        self.kill_supervisor()
        self.assertEqual(self.tend.status("s"), "stopped")

    def test_a_deleted_app_stays_deleted_and_its_id_unused(self):
        self.tend.ok("start", "sleep", "--name", "a", "--", "1000")
        self.tend.ok("start", "sleep", "--name", "b", "-f", "--", "1000")
        self.tend.ok("delete", "b")
        self.kill_supervisor()
        self.tend.ok("start", "sleep", "--name", "c", "-f", "--", "1000")
        self.assertEqual([(r["name"], r["pm_id"]) for r in self.tend.jlist()], [("a", 0), ("c", 2)])

    def test_settings_survive(self):
        self.tend.ok("start", "sleep", "--name", "s", "--max-restarts", "5", "--namespace", "n", "--", "1000",
                     env={"TASTE": "salt"})
        before = self.tend.app("s")
        self.kill_supervisor()
        after = self.tend.app("s")
        for record in (before, after):
            record.pop("monit")
        self.assertEqual(before, after)


if __name__ == "__main__":
    unittest.main(verbosity=2)
