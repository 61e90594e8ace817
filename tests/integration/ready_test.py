"""wait_ready: an app is online when it says so."""

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


if __name__ == "__main__":
    unittest.main(verbosity=2)
