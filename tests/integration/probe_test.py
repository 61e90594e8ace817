"""Probes: apps that do not co-operate are asked from outside."""

import json
import os
import signal
import time
import unittest
from pathlib import Path

from harness import alive, wait_for
from heartbeat_test import HeartbeatTest

# Answers /health with what the file `health` says, 200 without one; `mute` answers nothing.
APP = r"""const http = require('http'), fs = require('fs');
const read = (name) => { try { return fs.readFileSync(name, 'utf8').trim(); } catch { return ''; } };
http.createServer((req, res) => {
  const said = read('health-' + process.env.NODE_APP_INSTANCE) || read('health');
  if (said === 'mute' && req.url === '/health') return;
  res.statusCode = req.url === '/health' ? +said || 200 : 200;
  res.end(req.url === '/health' ? 'all is well' : String(process.pid));
}).listen(+process.env.PORT, '127.0.0.1');
"""

OFTEN = ("--probe-interval", "200ms", "--probe-timeout", "300ms")


class ProbeTest(HeartbeatTest):
    def say(self, text, name="health"):
        (self.tend.work / name).write_text(text)

    def begin(self, *words, probe="http://127.0.0.1:{port}/health", text=APP, script="app.js", often=OFTEN):
        return self.start("--probe", probe, "--heartbeat", "off", *often, *words, text=text, script=script,
                          wait_ready=False)


class Liveness(ProbeTest):
    def test_an_app_that_says_503_three_times_is_restarted_and_the_reason_kept(self):
        pid = self.begin()
        self.assertEqual(self.health(), "ok")
        self.say("503")
        wait_for(lambda: not alive(pid), 10, "the end of the unwell process")
        (self.tend.work / "health").unlink()
        wait_for(lambda: self.tend.status("api") == "online" and self.health() == "ok", what="well again")
        full = self.full()
        self.assertEqual(full["cause"]["kind"], "probe")
        self.assertIn("status 503, 3 times in a row", full["cause"]["text"])
        self.assertIn("] probe failed: http://127.0.0.1:{port}/health: status 503", self.log())

    def test_47_an_answer_that_never_comes_is_a_failure(self):
        pid = self.begin()
        self.say("mute")
        wait_for(lambda: not alive(pid), 10, "the end of the mute process")
        self.assertIn("no answer in 300ms", self.log())

    def test_report_restarts_nobody(self):
        pid = self.begin("--probe-action", "report")
        self.say("500")
        wait_for(lambda: self.health() == "probe failed", what="the verdict")
        self.say("200")
        wait_for(lambda: self.health() == "ok", what="well again")
        self.assertTrue(alive(pid))
        self.assertIn("] probe ok", self.log())

    def test_a_body_without_the_text_is_a_failure(self):
        self.begin("--probe-match", "all is lost", "--probe-for", "liveness", "--probe-action", "report")
        wait_for(lambda: self.health() == "probe failed", what="the verdict")

    def test_tcp_and_exec_are_asked_too(self):
        self.begin(probe="tcp://127.0.0.1:{port}")
        self.assertEqual(self.health(), "ok")
        self.tend.ok("delete", "api")
        self.say("1", "fine")
        self.begin("--probe-action", "report", probe="exec:test -e fine")
        self.assertEqual(self.health(), "ok")
        (self.tend.work / "fine").unlink()
        wait_for(lambda: self.health() == "probe failed", what="the verdict")
        self.assertIn("exit code 1", self.log())

    def test_of_two_workers_the_unwell_one_alone_is_replaced(self):
        self.begin("-i", 2)
        wait_for(lambda: all(r.get("health", {}).get("word") == "ok" for r in self.rows()), what="both well")
        first, second = (r["pid"] for r in self.tend.jlist())
        self.say("503", "health-1")
        wait_for(lambda: not alive(second), 10, "the end of the unwell worker")
        (self.tend.work / "health-1").unlink()
        wait_for(lambda: all(r.get("health", {}).get("word") == "ok" for r in self.rows()), what="both well")
        self.assertTrue(alive(first))
        self.assertEqual([r["restarts"] for r in self.rows()], [0, 1])

    def rows(self):
        return json.loads(self.tend.ok("list", "--json").stdout)

    def test_47_the_helper_can_die(self):
        self.begin()
        helpers = [p for p in self.helpers()]
        self.assertEqual(len(helpers), 1)
        os.kill(helpers[0], signal.SIGKILL)
        wait_for(lambda: self.helpers() not in ([], helpers), what="another helper")
        time.sleep(1)
        self.assertEqual(self.health(), "ok")
        self.assertEqual(self.row()["restarts"], 0)

    def helpers(self):
        found = []
        supervisor = self.tend.pids()[0]
        for pid in os.listdir("/proc"):
            if not pid.isdigit():
                continue
            try:
                command = Path(f"/proc/{pid}/cmdline").read_text()
                parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if parent == supervisor and "probe" in command:
                found.append(int(pid))
        return found


class Readiness(ProbeTest):
    def test_start_returns_when_the_probe_is_answered(self):
        late = APP.replace("http.createServer(", "const server = http.createServer(").replace(
            "}).listen(+process.env.PORT, '127.0.0.1');",
            "});\nsetTimeout(() => server.listen(+process.env.PORT, '127.0.0.1'), 700);")
        began = time.monotonic()
        self.begin("--listen-timeout", "20s", text=late)
        self.assertGreaterEqual(time.monotonic() - began, 0.7)
        self.assertEqual(self.tend.status("api"), "online")

    def test_an_app_whose_probe_is_never_answered_fails_the_command(self):
        self.tend.script("app.js", "setInterval(() => {}, 1e6); console.error('no port today');")
        done = self.tend.run("start", "app.js", "--name", "api", "--probe", "tcp://127.0.0.1:{port}",
                             "--listen-timeout", "800", env={"PORT": str(self.port)})
        self.assertEqual(done.returncode, 1)
        self.assertIn("not ready within 800ms", done.stdout + done.stderr)
        self.assertIn("no port today", done.stdout + done.stderr)

    def test_a_probe_that_cannot_be_read_starts_nothing(self):
        self.tend.script("app.js", "")
        for probe, word in (("ftp://x", "ftp://x"), ("tcp://127.0.0.1:99999", "99999"), ("exec:", "exec:")):
            done = self.tend.run("start", "app.js", "--probe", probe)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
            self.assertIn(word, done.stderr)
            self.assertIn("accepted", done.stderr)
        self.assertEqual(self.tend.jlist(), [])


del HeartbeatTest  # its own tests run in its own file
if __name__ == "__main__":
    unittest.main()
