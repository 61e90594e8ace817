"""The daemon is stopped, or is where there is no /proc: apps go on, nothing of theirs is lost."""

import json
import os
import re
import signal
import subprocess
import time
import unittest
import urllib.request

from harness import ROOT, SCALE, TendTest, alive, free_port, limit, wait_for

LOAD = ROOT / "tests/fixtures/cluster/load.js"
STOPPED = float(os.environ.get("TEND_TEST_STOPPED", "5"))  # a minute where time is no matter
FLOOD = """import sys, time
n = 0
while True:
    for _ in range(200):
        print('line %d %s' % (n, 'x' * 200)); n += 1
    sys.stdout.flush()
    time.sleep(0.005)
"""
SERVER = """let n = 0;
require('http').createServer((request, response) => {
  console.log(`line ${n++} ${'x'.repeat(2000)}`);
  response.end('ok');
}).listen(process.env.PORT, '127.0.0.1');
"""


class FaultStopped(TendTest):
    def setUp(self):
        super().setUp()
        self.need("node")

    def numbers(self, name):
        text = self.tend.read(self.files[name])
        return [int(n) for n in re.findall(r"(?m)line (\d+) x+$", text[:text.rindex("\n") + 1])]

    def load(self, port, mode):
        return subprocess.Popen(["node", str(LOAD), f"http://127.0.0.1:{port}", "8", str(int(STOPPED) + 2), mode],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_05_a_daemon_that_is_stopped_holds_up_nobody_and_loses_no_line(self):
        self.tend.script("server.js", SERVER)
        self.tend.script("flood.py", FLOOD)
        ports = [free_port() for _ in range(2)]
        self.tend.ok("start", "server.js", "--name", "one", env={"PORT": str(ports[0])})
        self.tend.ok("start", "server.js", "--name", "shared", "-i", "1", env={"PORT": str(ports[1])})
        self.tend.ok("start", "flood.py", "--name", "raw")
        self.tend.ok("start", "flood.py", "--name", "timed", "--log-date-format", "YYYY", "-f")
        pids = {r["name"]: r["pid"] for r in self.tend.jlist()}
        self.files = {r["name"]: r["pm2_env"]["pm_out_log_path"] for r in self.tend.jlist()}
        supervisor, keeper = self.tend.pids()
        for name in ("raw", "timed"):
            self.tend.wait_text(self.tend.out_log(name), "line 1000 ")
        loads = [self.load(port, mode) for port in ports for mode in ("keep", "close")]
        time.sleep(1)
        for pid in (supervisor, keeper):
            os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        try:
            slowest = 0.0
            while time.monotonic() < began + STOPPED:
                for port in ports:
                    asked_at = time.monotonic()
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=limit(20)) as answer:
                        self.assertEqual(answer.read(), b"ok")
                    slowest = max(slowest, time.monotonic() - asked_at)
                time.sleep(0.05)
            self.assertLess(slowest, limit(1))
            asked = self.tend.run("list", "--timeout", "500ms")
            self.assertEqual(asked.returncode, 3)
            self.assertIn("no answer to 'list'", asked.stderr)
        finally:
            for pid in (keeper, supervisor):
                os.kill(pid, signal.SIGCONT)
        for load in loads:
            out, err = load.communicate(timeout=limit(60))
            found = json.loads(out)
            self.assertEqual(found["failed"], 0, f"{found} {err}")
            self.assertGreater(found["ok"], 100)
        self.assertEqual({r["name"]: r["pid"] for r in self.tend.jlist()}, pids)
        self.assertEqual(self.tend.pids(), (supervisor, keeper))
        # What was written meanwhile waited in the pipes, or in the app.
        last = {name: self.numbers(name)[-1] for name in pids}
        wait_for(lambda: all(self.numbers(name)[-1] > last[name] for name in ("raw", "timed")), what="lines again")
        self.tend.ok("stop", "all")
        for name in pids:
            numbers = self.numbers(name)
            wrong = next((i for i, n in enumerate(numbers) if n != i), None)
            self.assertIsNone(wrong, wrong is not None and f"{name}: {numbers[max(0, wrong - 3):wrong + 3]}")
            self.assertGreater(len(numbers), 1000)


class FaultNoProc(TendTest):
    """Everything of tend sees an empty folder where /proc was; the test itself does not."""

    def setUp(self):
        if SCALE > 1:
            self.skipTest("a sanitizer's own work needs /proc")
        super().setUp()
        self.need_root()
        self.need("unshare")
        without = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /proc && exec "$@"', "sh"]
        if subprocess.run([*without, "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("no mount namespaces here")
        self.tend = self.make_tend(prefix=without)
        self.tend.supervisor_may_die = True

    def test_the_daemon_starts_supervises_and_stops_apps_without_proc(self):
        self.tend.script("tree.sh", "#!/bin/sh\nsleep 1001 &\necho $! > child\necho up\nwait\n")
        self.tend.ok("start", "sleep", "--name", "s", "-i", "2", "-f", "--", "1000")
        self.tend.ok("start", "tree.sh", "--interpreter", "none")
        self.tend.wait_text(self.tend.out_log("tree"), "up")
        child = int(self.tend.read("child"))
        row = self.tend.app("tree")
        self.assertEqual((row["monit"]["cpu"], row["monit"]["memory"]), (0, 0))
        self.assertIn("online", self.tend.ok("list").stdout)
        self.tend.ok("describe", "tree")
        # A crash is followed by a start, and what the app left behind ends.
        os.kill(row["pid"], signal.SIGKILL)
        wait_for(lambda: self.tend.app("tree")["pid"] not in (0, row["pid"]), what="a start")
        wait_for(lambda: not alive(child), what="the end of what it left")
        self.tend.wait_status("tree", "online")
        wait_for(lambda: int(self.tend.read("child") or child) != child, what="the child")
        child, main = int(self.tend.read("child")), self.tend.app("tree")["pid"]
        self.tend.ok("restart", "s")
        self.tend.ok("stop", "tree")
        self.assertFalse(alive(main) or alive(child))
        # Both daemons are followed by others.
        apps = [(r["pm_id"], r["pid"]) for r in self.tend.jlist()]
        supervisor, keeper = self.tend.pids()
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: self.tend.pids()[0] != supervisor, what="another supervisor")
        self.assertEqual([(r["pm_id"], r["pid"]) for r in self.tend.jlist()], apps)
        os.kill(keeper, signal.SIGKILL)
        wait_for(lambda: self.tend.run("ping").returncode == 0 and self.tend.pids()[1] != keeper, what="another keeper")
        self.assertEqual([(r["pm_id"], r["pid"]) for r in self.tend.jlist()], apps)
        self.tend.ok("delete", "all")
        self.assertFalse(any(alive(pid) for _, pid in apps if pid))


if __name__ == "__main__":
    unittest.main(verbosity=2)
