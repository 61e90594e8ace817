"""Supervisors that die as soon as they are started: apps run on, the keeper restarts what exits, and the first supervisor
that lasts knows all of it."""

import os
import signal
import subprocess
import time
import unittest
from pathlib import Path

from harness import BIN, SCALE, TendTest, alive, wait_for

POINTS = subprocess.run([BIN, "generate", "failpoints"], capture_output=True, text=True, check=False).stdout.split()
LIVES = 1000
TALKER = "#!/bin/sh\necho began $$\nread line && echo heard $line\nexec sleep 1000\n"


class SafeMode(TendTest):
    def setUp(self):
        if not POINTS:
            self.skipTest("this program is built without TEND_FAILPOINTS")
        super().setUp()
        self.tend.supervisor_may_die = True
        self.armed = self.tend.dir / "failpoint"
        self.tend.env["TEND_FAILPOINT"] = str(self.armed)
        self.tend.script("talker.sh", TALKER)
        self.addCleanup(self.disarm)

    def arm(self, point):
        self.armed.with_suffix(".new").write_text(f"{point} 1 {LIVES}\n")
        self.armed.with_suffix(".new").rename(self.armed)

    def disarm(self):
        self.armed.unlink(missing_ok=True)

    def enter(self, point="recover.begin"):
        """Until the keeper has seen five supervisors die."""
        supervisor, self.keeper = self.tend.pids()
        self.arm(point)
        os.kill(supervisor, signal.SIGKILL)
        wait_for((self.tend.home / "safe-mode").exists, 20, "safe mode")

    def leave(self):
        self.disarm()
        records = self.tend.jlist()  # waits for the next supervisor
        self.assertFalse((self.tend.home / "safe-mode").exists())
        return {r["name"]: r for r in records}

    def children(self, word):
        """Of the keeper, with that word in their command line."""
        found = []
        for pid in Path(f"/proc/{self.keeper}/task/{self.keeper}/children").read_text().split():
            try:
                if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes() and alive(int(pid)):
                    found.append(int(pid))
            except OSError:
                pass  # it is gone
        return found

    def successor(self, word, former):
        def look():
            now = self.children(word)
            return now[0] if len(now) == 1 and now[0] != former else None
        return wait_for(look, 10, f"another {word}")

    def test_01_apps_live_and_are_restarted_while_every_supervisor_dies(self):
        self.tend.json_file("apps.json", {"apps": [
            {"name": "kept", "script": "sleep", "args": "1001"},
            {"name": "killed", "script": "sleep", "args": "1002"},
            {"name": "once", "script": "sleep", "args": "1003", "autorestart": False},
            {"name": "coded", "script": "coded.sh", "stop_exit_codes": [7]},
            {"name": "stopped", "script": "sleep", "args": "1004"},
            {"name": "talker", "script": "talker.sh"}]})
        self.tend.script("coded.sh", "#!/bin/sh\ntrap 'exit 7' USR1\nwhile :; do sleep 0.05; done\n")
        self.tend.ok("start", "apps.json")
        self.tend.ok("stop", "stopped")
        before = {r["name"]: r["pid"] for r in self.tend.jlist()}
        self.enter()
        os.kill(before["killed"], signal.SIGKILL)
        second = self.successor("1002", before["killed"])
        os.kill(second, signal.SIGKILL)
        third = self.successor("1002", second)
        os.kill(before["once"], signal.SIGKILL)
        os.kill(before["coded"], signal.SIGUSR1)
        os.kill(before["talker"], signal.SIGKILL)
        talker = self.successor("talker.sh", before["talker"])
        # Nobody reads the logs now: that it wrote is seen later.
        asked = self.tend.run("list", "--timeout", "1s")
        self.assertEqual(asked.returncode, 3, asked.stderr)
        self.assertIn("supervisors in a row ended before they served, the last one by signal 9", asked.stderr)
        self.assertIn(str(self.tend.home / "tend.log"), asked.stderr)
        self.assertFalse(alive(before["once"]))
        self.assertEqual(self.children("1003") + self.children("1004"), [])

        after = self.leave()
        self.assertEqual({name: r["pid"] for name, r in after.items() if r["pm2_env"]["status"] == "online"},
                         {"kept": before["kept"], "killed": third, "talker": talker})
        self.assertEqual({name: r["pm2_env"]["restart_time"] for name, r in after.items()},
                         {"kept": 0, "killed": 2, "once": 0, "coded": 0, "stopped": 0, "talker": 1})
        wait_for(lambda: self.tend.status("coded") == "stopped" and self.tend.status("once") == "stopped")
        self.tend.ok("send", "talker", "words")
        self.tend.wait_text(self.tend.out_log("talker"), "heard words")
        wait_for(lambda: f"began {talker}\n" in self.tend.read(self.tend.out_log("talker")), what="the second's words")
        # What was restarted is as any other: it is stopped, restarted, and its end is seen.
        os.kill(third, signal.SIGKILL)
        wait_for(lambda: self.tend.app("killed")["pm2_env"]["restart_time"] == 3, what="the supervisor's restart")
        self.tend.ok("stop", "talker")
        self.assertFalse(alive(talker))
        self.assertEqual(self.children("talker.sh"), [])

    def test_01_a_node_app_gets_a_channel_that_the_next_supervisor_speaks(self):
        self.need("node")
        self.tend.script("echo.js", "process.on('message', (m) => console.log('got ' + m.data.word));\n"
                                    "setInterval(() => {}, 1000);\n")
        self.tend.ok("start", "echo.js", "--name", "echo")
        former = self.tend.app("echo")["pid"]
        self.enter()
        os.kill(former, signal.SIGKILL)
        now = self.successor("echo.js", former)
        record = self.leave()["echo"]
        self.assertEqual((record["pid"], record["pm2_env"]["status"], record["pm2_env"]["restart_time"]),
                         (now, "online", 1))
        self.tend.ok("message", "echo", '{"data": {"word": "here"}}')
        self.tend.wait_text(self.tend.out_log("echo"), "got here")
        self.tend.ok("restart", "echo")
        self.assertFalse(alive(now))

    def test_01_an_app_that_crashes_at_once_is_not_restarted_in_a_hot_loop(self):
        self.tend.script("brief.sh", "#!/bin/sh\necho x >> count\n[ -e healthy ] || exit 1\nexec sleep 1000\n")
        (self.tend.work / "healthy").touch()
        self.tend.ok("start", "brief.sh", "--name", "brief")
        pid = self.tend.app("brief")["pid"]
        self.enter()
        (self.tend.work / "healthy").unlink()
        os.kill(pid, signal.SIGKILL)
        time.sleep(2)
        count = len(self.tend.read("count").split())
        self.assertGreater(count, 2)
        self.assertLess(count, 10)
        (self.tend.work / "healthy").touch()
        self.leave()
        wait_for(lambda: self.tend.status("brief") == "online")

    def test_01_what_was_started_before_an_update_is_restarted_too(self):
        self.tend.ok("start", "talker.sh", "--name", "talker")
        before = self.tend.app("talker")["pid"]
        self.tend.ok("update")
        self.enter()
        os.kill(before, signal.SIGKILL)
        now = self.successor("talker.sh", before)
        record = self.leave()["talker"]
        self.assertEqual((record["pid"], record["pm2_env"]["restart_time"]), (now, 1))

    def test_01_a_stop_in_safe_mode_is_done_by_the_next_supervisor(self):
        """What is asked then waits; what was asked before holds."""
        self.tend.ok("start", "talker.sh", "--name", "talker")
        pid = self.tend.app("talker")["pid"]
        self.enter()
        with self.tend.popen("stop", "talker") as child:
            time.sleep(0.3)
            self.disarm()
            self.assertEqual(child.wait(60), 0)
        self.assertFalse(alive(pid))
        self.assertEqual(self.tend.status("talker"), "stopped")
        os.kill(self.tend.pids()[0], signal.SIGKILL)
        self.assertEqual(self.tend.status("talker"), "stopped")
        self.assertEqual(self.children("talker.sh"), [])

    def test_01_one_that_was_being_stopped_when_supervisors_began_to_die_stays_down(self):
        self.tend.script("deaf.sh", "#!/bin/sh\ntrap '' INT\ntrap 'exit 0' USR1\nwhile :; do sleep 0.05; done\n")
        self.tend.ok("start", "deaf.sh", "--name", "deaf", "--kill-timeout", "60s")
        pid = self.tend.app("deaf")["pid"]
        self.tend.ok("stop", "deaf", "--no-wait")
        self.enter()
        os.kill(pid, signal.SIGUSR1)
        time.sleep(1)
        self.assertEqual(self.children("deaf.sh"), [])
        self.leave()
        self.tend.wait_status("deaf", "stopped")
        self.assertEqual(self.children("deaf.sh"), [])

    def test_01_pauses_between_supervisors_grow(self):
        self.tend.ok("start", "talker.sh")
        self.enter()
        left = lambda: int(self.armed.read_text().split()[2])
        before = left()
        time.sleep(4)
        self.assertLess(before - left(), 5)
        self.leave()

    def test_06_a_supervisor_that_faults_is_followed_by_one_that_knows_all(self):
        if SCALE > 1:
            self.skipTest("a sanitizer reports the fault, as it should")
        self.tend.ok("start", "talker.sh", "--name", "talker")
        before = self.tend.app("talker")["pid"]
        for _ in range(5):
            supervisor = self.tend.pids()[0]
            os.kill(supervisor, signal.SIGSEGV)
            wait_for(lambda: not alive(supervisor), what="the end of it")
            began = time.monotonic()
            self.assertNotEqual(self.tend.pids()[0], supervisor)
            self.assertLess(time.monotonic() - began, 2 * SCALE)
            told = (self.tend.home / "tend.log").read_text()
            self.assertRegex(told, rf"supervisor {supervisor} crashed by SIGSEGV, version [\d.]+, at\n(.*\[0x[0-9a-f]+\]\n){{4}}")
            self.assertIn("the former supervisor ended: killed by SIGSEGV", told)
        record = self.tend.app("talker")
        self.assertEqual((record["pid"], record["pm2_env"]["restart_time"]), (before, 0))
        self.assertFalse((self.tend.home / "safe-mode").exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
