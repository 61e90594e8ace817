"""wait_ready: an app is online when it says so."""

import os
import signal
import time
import unittest

from harness import TendTest, limit, wait_for

READY = """setTimeout(() => { require('fs').writeFileSync('said', ''); process.send('ready'); }, 300);
setInterval(() => {}, 1e6);
"""


class Ready(TendTest):
    def setUp(self):
        super().setUp()
        self.need("node")

    def test_start_returns_when_the_app_said_ready(self):
        self.tend.script("app.js", READY)
        self.tend.ok("start", "app.js", "--wait-ready", "--listen-timeout", "30s")
        self.assertTrue((self.tend.work / "said").exists())
        self.assertEqual(self.tend.status("app"), "online")

    def test_an_app_that_is_silent_is_launching(self):
        self.tend.script("app.js", "setInterval(() => {}, 1e6);\n")
        child = self.tend.popen("start", "app.js", "--wait-ready", "--listen-timeout", "60s")
        try:
            wait_for(lambda: self.tend.status("app") == "launching", what="launching")
            self.assertIsNone(child.poll())
        finally:
            self.tend.ok("delete", "app")
            child.communicate(timeout=limit(10))

    def test_an_app_that_never_says_ready_fails_the_command(self):
        self.tend.script("app.js", "setInterval(() => {}, 1e6);\n")
        began = time.monotonic()
        done = self.tend.run("start", "app.js", "--wait-ready", "--listen-timeout", "700")
        self.assertNotEqual(done.returncode, 0)
        self.assertGreaterEqual(time.monotonic() - began, 0.69)
        self.assertRegex(done.stdout + done.stderr, r"(?i)ready")

    def test_ready_timeout_online_accepts_silence(self):
        self.tend.script("app.js", "setInterval(() => {}, 1e6);\n")
        path = self.tend.json_file("e.json", {"apps": [{"script": "app.js", "wait_ready": True, "listen_timeout": 500,
                                                        "ready_timeout": "online"}]})
        self.tend.ok("start", path)
        self.assertEqual(self.tend.status("app"), "online")

    def test_an_app_that_dies_before_ready_fails_the_command(self):
        self.tend.script("app.js", "process.exit(4);\n")
        done = self.tend.run("start", "app.js", "--wait-ready", "--listen-timeout", "60s", "--max-restarts", "2")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.tend.wait_status("app", "errored")["pm2_env"]["exit_code"], 4)

    NOTIFY = """import os, socket, sys, time
def say(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(text, "\\0" + os.environ["NOTIFY_SOCKET"][1:])
say(b"STATUS=loading")
say(b"READY=0")
say(b"x" * 20000)
while not os.path.exists("go"): time.sleep(0.02)
say(b"MAINPID=1\\nREADY=1")
time.sleep(1000)
"""

    def test_any_language_says_ready_on_its_notify_socket_also_to_a_successor_of_the_supervisor(self):
        self.tend.script("app.py", self.NOTIFY)
        child = self.tend.popen("start", "app.py", "--wait-ready", "--listen-timeout", "60s", "--no-wait")
        child.communicate(timeout=limit(20))
        pid = wait_for(lambda: (self.tend.app("app") or {}).get("pid"), what="a pid")
        time.sleep(0.5)
        self.assertEqual(self.tend.status("app"), "launching")
        os.kill(self.tend.pids()[0], signal.SIGKILL)
        self.assertEqual(self.tend.status("app"), "launching")
        (self.tend.work / "go").write_text("")
        self.tend.wait_status("app", "online")
        self.assertEqual(self.tend.app("app")["pid"], pid)

    def test_an_app_that_gets_no_notify_socket_gets_none_of_its_caller_either(self):
        self.tend.script("app.sh", "#!/bin/sh\necho \"[$NOTIFY_SOCKET]\" > seen\nexec sleep 1000\n")
        self.tend.ok("start", "app.sh", "--heartbeat", "off", env={"NOTIFY_SOCKET": "@somebody"})
        seen = self.tend.work / "seen"
        wait_for(lambda: seen.exists() and seen.read_text(), what="the app's word")
        self.assertEqual(seen.read_text(), "[]\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
