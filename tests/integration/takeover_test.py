"""What a supervisor was in the middle of, or was told by an app, is known to the one that takes over."""

import os
import shutil
import signal
import time
import unittest
from pathlib import Path

from cluster_test import get
from harness import SCALE, TendTest, alive, free_port, wait_for
from notify_test import PRELUDE


class Takeover(TendTest):
    def setUp(self):
        super().setUp()
        self.tend.supervisor_may_die = True

    def kill_supervisor(self):
        pid = self.tend.pids()[0]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid), what="the supervisor's end")
        self.tend.ok("ping")

    def speaker(self, body, *args):
        self.tend.script("app.py", PRELUDE + body)
        self.tend.ok("start", "app.py", *args)
        wait_for((self.tend.work / "said").exists, what="its word")

    def assert_undisturbed(self, pid, seconds):
        time.sleep(seconds * SCALE)
        app = self.tend.app("app")
        self.assertEqual((app["pid"], app["pm2_env"]["restart_time"]), (pid, 0), self.tend.daemon_log())

    def test_who_is_being_ended_as_hung_and_does_not_go_is_killed(self):
        self.tend.script("app.py", PRELUDE + "signal.signal(signal.SIGTERM, lambda *_: note('asked'))\n"
                         "say('WATCHDOG=1')\nwhile True: time.sleep(1)\n")
        self.tend.json_file("e.json", {"apps": [{
            "name": "app", "script": "app.py", "heartbeat_interval": 100 * SCALE, "heartbeat_misses": 3,
            "heartbeat_action": "signal:SIGTERM", "kill_timeout": 3000 * SCALE}]})
        self.tend.ok("start", "e.json")
        first = self.tend.app("app")["pid"]
        wait_for((self.tend.work / "asked").exists, timeout=20 * SCALE, what="the signal")
        self.kill_supervisor()
        wait_for(lambda: not alive(first), timeout=20 * SCALE, what="the hung process's end")
        wait_for(lambda: self.tend.app("app")["pid"] not in (0, first), timeout=20, what="its successor")

    def assert_silence_is_no_fault_after(self, *words):
        said = "".join(f"say({word!r})\n" for word in words)
        self.speaker(said + "barrier()\nnote('said')\ntime.sleep(1000)\n", "--heartbeat-interval", int(100 * SCALE))
        pid = self.tend.app("app")["pid"]
        self.kill_supervisor()
        self.assert_undisturbed(pid, 2)

    def test_the_watchdog_period_that_an_app_gave_is_kept(self):
        self.assert_silence_is_no_fault_after("WATCHDOG_USEC=600000000", "WATCHDOG=1")

    def test_an_app_that_ended_its_watchdog_has_none_afterwards(self):
        self.assert_silence_is_no_fault_after("WATCHDOG=1", "WATCHDOG_USEC=0")

    def test_an_app_that_said_it_is_stopping_may_be_silent(self):
        self.assert_silence_is_no_fault_after("WATCHDOG=1", "STOPPING=1")

    def test_ready_is_remembered_while_the_probe_is_not_answered_yet(self):
        port = free_port()
        self.tend.script("app.py", PRELUDE + "say('READY=1')\nbarrier()\nnote('said')\nwait_file('open')\n"
                         f"s = socket.create_server(('127.0.0.1', {port}))\ntime.sleep(1000)\n")
        self.tend.json_file("e.json", {"apps": [{
            "name": "app", "script": "app.py", "wait_ready": True, "listen_timeout": 15000 * SCALE,
            "probe": f"tcp://127.0.0.1:{port}", "probe_for": "both", "probe_interval": 200}]})
        start = self.tend.popen("start", "e.json")
        wait_for((self.tend.work / "said").exists, timeout=15 * SCALE, what="READY=1")
        self.kill_supervisor()
        self.assertEqual(self.tend.status("app"), "launching")
        (self.tend.work / "open").write_text("")
        start.communicate(timeout=60)
        self.tend.wait_status("app", "online", timeout=10 * SCALE)
        self.assertEqual(self.tend.app("app")["pm2_env"]["restart_time"], 0)

    def test_what_was_being_deleted_is_deleted(self):
        self.tend.script("app.py", "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
                         "open('said', 'w').close()\ntime.sleep(1000)\n")
        self.tend.ok("start", "app.py", "--kill-timeout", str(2000 * SCALE))
        wait_for((self.tend.work / "said").exists, what="its start")
        delete = self.tend.popen("delete", "app")
        wait_for(lambda: self.tend.status("app") == "stopping", what="the stop")
        self.kill_supervisor()
        delete.communicate(timeout=60)
        wait_for(lambda: self.tend.jlist() == [], timeout=15 * SCALE, what="the empty list")

    def test_a_home_that_is_deleted_again_and_again_costs_no_app(self):
        self.tend.ok("start", self.tend.sleeper(), "--name", "app")
        pid = self.tend.app("app")["pid"]
        for _ in range(3):
            shutil.rmtree(self.tend.home)
            wait_for((self.tend.home / "tend.sock").exists, what="the home")
            self.assertEqual([r["pid"] for r in self.tend.jlist()], [pid])

    def test_an_app_keeps_its_environment_whatever_is_started_after_it(self):
        self.tend.script("says.sh", "#!/bin/sh\necho $WHOSE >> $NAMED\nexec sleep 1000\n")
        start = lambda name: self.tend.ok("start", "says.sh", "--name", name, "-f",
                                          env={"WHOSE": name, "NAMED": str(self.tend.work / name)})
        start("gone")
        self.tend.ok("delete", "gone")
        for name in ("a", "b", "c"):
            start(name)
            self.kill_supervisor()
        self.tend.ok("restart", "all")
        for name in ("a", "b", "c"):
            wait_for(lambda: self.tend.read(name).count("\n") == 2, what="its second word")
            self.assertEqual(self.tend.read(name), f"{name}\n{name}\n")

    def test_what_is_left_of_a_replaced_one_has_the_time_to_end(self):
        self.tend.script("app.py", """import os, signal, sys, time
if os.fork() == 0:
    def finish(*_):
        time.sleep(2)
        open("finished", "w").close()
        os._exit(0)
    signal.signal(signal.SIGINT, finish)
    open("born", "w").close()
    while True: time.sleep(1)
signal.signal(signal.SIGINT, lambda *_: os._exit(0))
while True: time.sleep(1)
""")
        self.tend.json_file("e.json", {"apps": [{"name": "app", "script": "app.py", "exec_mode": "fork", "instances": 1,
                                                 "listen": [f"tcp://127.0.0.1:{free_port()}"], "kill_timeout": 20000}]})
        self.tend.ok("start", "e.json")
        wait_for((self.tend.work / "born").exists, what="the child")
        old = self.tend.app("app")["pid"]
        with self.tend.popen("reload", "app"):
            wait_for(lambda: not alive(old), what="the old main process's end")
            self.kill_supervisor()
        wait_for((self.tend.work / "finished").exists, what="the end of its child's work")

    def test_environments_that_nobody_uses_any_more_leave_the_journal(self):
        self.tend.sleeper()
        self.tend.json_file("e.json", {"apps": [{"name": "app", "script": "sleeper.sh"}]})
        for build in range(5):
            self.tend.ok("start", "e.json", env={"BUILD_ID": f"build-number-{build}"})
        self.tend.ok("delete", "all")
        self.kill_supervisor()
        # One more write; the records are rewritten without the dead ones when these outweigh them.
        for build in range(200):
            if b"build-number-1" not in self.journal():
                break
            self.tend.ok("start", "sleeper.sh", "--name", "last", "-f", env={"BUILD_ID": "z" * 4000 + str(build)})
            self.tend.ok("delete", "all")
        self.assertNotIn(b"build-number-1", self.journal())

    def journal(self):
        return b"".join(p.read_bytes() for p in Path(self.tend.home).glob("*journal*") if p.is_file())

    def test_an_app_whose_listen_address_changed_answers_there_after_each_way_of_starting_it(self):
        self.need("node")
        self.tend.script("app.js", "require('http').createServer((q, r) => r.end('pong')).listen({fd: 3})\n")
        for balance in ("rr", "reuseport"):
            for verb in ("start", "startOrReload"):
                ports = [free_port(), free_port()]
                for port in ports:
                    self.tend.json_file("e.json", {"apps": [{
                        "name": "app", "script": "app.js", "instances": 2, "balance": balance,
                        "listen": f"127.0.0.1:{port}"}]})
                    self.tend.ok(verb, "e.json")
                    for _ in range(4):
                        self.assertEqual(get(port), "pong", f"{balance} {verb}")
                self.tend.ok("delete", "all")


if __name__ == "__main__":
    unittest.main()
