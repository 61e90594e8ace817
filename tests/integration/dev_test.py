"""tend-dev: a development session with a daemon and a home of its own."""

import json
import signal
import unittest

from harness import TendTest, limit, processes_naming, wait_for

SERVER = """#!/usr/bin/env python3
import time
print("up", flush=True)
while True:
    time.sleep(10)
"""


class DevTest(TendTest):
    def session(self, *words):
        with open(self.tend.work / "o.txt", "w") as out:
            child = self.tend.popen("dev", *words, stdout=out)
        self.addCleanup(child.kill)
        return child

    def inside(self, *words):
        return self.tend.run(*words, env={"TEND_HOME": f"{self.tend.home}-dev"})

    def ends(self, child, status=0):
        self.assertEqual(child.wait(limit(20)), status)
        wait_for(lambda: not processes_naming(str(self.tend.dir)), 10, "nothing left behind")

    def test_a_session_shows_lines_and_restarts_and_leaves_nothing(self):
        self.tend.script("server.py", SERVER)
        child = self.session("start", "server.py", "--ignore", "*.txt")
        self.tend.wait_text("o.txt", "server-0 | up\n")
        text = self.tend.read("o.txt")
        self.assertTrue(text.startswith("--- tend development mode ---"), text)
        self.assertIn("Apps started         : server\n", text)
        self.assertIn("Ignored folder       : node_modules,*.txt\n", text)
        self.assertEqual(self.inside("restart", "server").returncode, 0)
        self.tend.wait_text("o.txt", "[rundev] App server restarted\n")
        record = json.loads(self.inside("jlist").stdout)[0]["pm2_env"]
        self.assertEqual((record["watch"], record["restart_delay"]), (True, 1000))
        self.assertIn("node_modules", record["ignore_watch"])
        child.send_signal(signal.SIGINT)
        self.ends(child)
        self.assertIn("the development session ends\n", self.tend.read("o.txt"))
        self.assertFalse(self.tend.home.exists())  # the user's own home was not touched

    def test_a_change_restarts_the_app(self):
        script = self.tend.script("app/server.py", SERVER)
        child = self.session(script, "--cwd", script.parent)
        self.tend.wait_text("o.txt", "server-0 | up\n")
        script.write_text(SERVER.replace('"up"', '"changed"'))
        self.tend.wait_text("o.txt", "server-0 | changed\n")
        child.send_signal(signal.SIGINT)
        self.ends(child)

    def test_post_exec_runs_and_auto_exit_ends_it(self):
        self.tend.script("one.sh", "#!/bin/sh\necho out\n")
        child = self.session("one.sh", "--no-autorestart", "--auto-exit", "--raw", "--post-exec", "echo after")
        self.ends(child, 1)
        lines = self.tend.read("o.txt").splitlines()
        self.assertEqual(sorted(lines[:2]), ["after", "out"])
        self.assertEqual(lines[2:], ["0 application online, exiting"])


if __name__ == "__main__":
    unittest.main()
