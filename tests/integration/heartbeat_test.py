"""Processes that are alive but not well: found by their heartbeats, ended, replaced; and those that are well left alone."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
import unittest

from harness import ROOT, TendTest, alive, free_port, limit, wait_for

FAST = ("--heartbeat-interval", "200ms")

# Serves until /hang asks for the way in which it is to hang.
APP = r"""const http = require('http'), fs = require('fs');
function spin() { while (true); }
function regex() { /^(a+)+$/.test('a'.repeat(40) + 'b'); }
function fifo() { fs.readFileSync('pipe'); }
function wait() { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); }
const ways = { spin, regex, fifo, wait };
http.createServer((req, res) => {
  const way = ways[req.url.slice(1)];
  res.end(String(process.pid));
  if (way) setTimeout(way, 20);
}).listen(+process.env.PORT, '127.0.0.1', () => { if (process.send) process.send('ready'); });
"""


class HeartbeatTest(TendTest):
    def setUp(self):
        super().setUp()
        self.need("node")
        self.port = free_port()

    def start(self, *words, name="api", text=APP, script="app.js", wait_ready=True):
        self.tend.script(script, text)
        self.tend.ok("start", script, "--name", name, *(("--wait-ready",) if wait_ready else ()), *words,
                     env={"PORT": str(self.port)})
        return self.tend.app(name)["pid"] if "-i" not in words else None

    def get(self, path="/"):
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=limit(5))
        try:
            client.request("GET", path)
            return int(client.getresponse().read())
        finally:
            client.close()

    def row(self, name="api"):
        rows = [r for r in json.loads(self.tend.ok("list", "--json").stdout) if r["name"] == name]
        return rows[0]

    def health(self, name="api"):
        return self.row(name).get("health", {}).get("word", "")

    def well(self, name="api"):
        wait_for(lambda: self.health(name) == "ok", what=f"{name} ok")

    def full(self, name="api"):
        return json.loads(self.tend.ok("describe", name, "--json").stdout)[0]

    def log(self):
        return self.tend.read(self.tend.home / "tend.log")

    def hang(self, way):
        """The hung process ends and a successor serves; returns its pid."""
        old = self.get()
        self.get("/" + way)
        wait_for(lambda: not alive(old), 10, "the end of the hung process")
        def answer():
            try:
                return self.get()
            except OSError:
                return None
        new = wait_for(answer, what="the successor's answer")
        self.assertNotEqual(new, old)
        return new


class Hangs(HeartbeatTest):
    def test_27_each_way_of_hanging_is_found_and_ended(self):
        os.mkfifo(self.tend.work / "pipe")
        self.start(*FAST, "--autopsy", "off")
        for count, way in enumerate(("spin", "regex", "fifo", "wait"), 1):
            with self.subTest(way):
                self.well()
                self.hang(way)
                full = self.full()
                self.assertEqual(full["cause"]["kind"], "heartbeat")
                self.assertRegex(full["cause"]["text"], r"^heartbeat: no answer to pings \d+\.\.\d+ in 600ms")
                self.assertEqual(full["hangs"], count)
        self.assertRegex(self.log(), r"App \[api:0\] unhealthy: 1/3: no answer to ping \d+ in 200ms")
        self.assertRegex(self.log(), r"App \[api:0\] hung: no answer to pings")

    def test_27_a_stopped_process_is_ended(self):
        pid = self.start(*FAST, "--autopsy", "off")
        self.well()
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: not alive(pid), 10, "the end of the stopped process")
        wait_for(lambda: self.tend.app("api")["pid"] not in (0, pid), what="a successor")
        self.assertEqual(self.full()["cause"]["kind"], "heartbeat")

    def test_a_worker_that_hangs_leaves_its_port_to_the_others(self):
        self.start(*FAST, "-i", 2, "--autopsy", "off")
        wait_for(lambda: len({self.get() for _ in range(20)}) == 2, what="both workers")
        old = self.get("/spin")
        wait_for(lambda: not alive(old), 10, "the end of the hung worker")
        wait_for(lambda: len({self.get() for _ in range(20)} - {old}) == 2, what="two workers")

    def test_report_ends_nobody_and_says_so_once(self):
        pid = self.start(*FAST, "--heartbeat-action", "report", "--kill-timeout", "300")
        self.well()
        self.get("/spin")
        wait_for(lambda: self.health() == "hung", what="the verdict")
        time.sleep(1.5)  # other rounds, in which it is hung still
        self.assertTrue(alive(pid))
        self.assertEqual(self.log().count("] hung:"), 1)
        self.assertEqual(self.row()["restarts"], 0)

    def test_27_a_signal_of_choice_leaves_a_core(self):
        pid = self.start(*FAST, "--heartbeat-action", "signal:SIGABRT", "--autopsy", "off")
        self.well()
        self.hang("spin")
        self.assertFalse(alive(pid))
        self.assertIn("killed by signal [SIGABRT]", self.log())

    def test_reload_starts_the_successor_first(self):
        self.start(*FAST, "-i", 1, "--exec-mode", "cluster", "--heartbeat-action", "reload", "--autopsy", "off")
        old = self.get()
        self.get("/spin")
        new = wait_for(lambda: self.tend.app("api")["pid"] not in (0, old) and self.get(), what="the successor")
        self.assertNotEqual(new, old)
        wait_for(lambda: not alive(old), 5, "the end of the hung process")
        self.assertIn("] reload", self.log())

    def test_27_one_that_blocks_for_less_is_late_and_lives(self):
        pid = self.start(*FAST, text=APP.replace("while (true);", "const t = Date.now(); while (Date.now() - t < 450);"))
        self.well()
        self.get("/spin")
        wait_for(lambda: "] late: answered after" in self.log() or "unhealthy" in self.log(), what="a late answer")
        self.well()
        self.assertTrue(alive(pid))
        self.assertGreaterEqual(self.full()["health"]["packets"]["late"], 1)


    def test_one_that_thrashes_at_its_heap_limit_is_replaced(self):
        thrash = APP.replace("function spin() { while (true); }", """const held = [];
function spin() { for (;;) held.push(new Array(1000).fill(held.length)); }""")
        pid = self.start(*FAST, "--autopsy", "off", "--node-args", "--max-old-space-size=60", text=thrash)
        self.well()
        self.get("/spin")
        wait_for(lambda: not alive(pid), 20, "the end of the thrashing process")
        wait_for(lambda: self.tend.app("api")["pid"] not in (0, pid), what="a successor")


class NoBlame(HeartbeatTest):
    def test_a_slow_start_is_no_hang(self):
        pid = self.start(*FAST, text="const t = Date.now(); while (Date.now() - t < 2500);\n" + APP)
        self.well()
        self.assertEqual(self.tend.app("api")["pid"], pid)
        self.assertEqual(self.row()["restarts"], 0)

    def test_a_start_without_an_end_is_a_hang_after_its_grace(self):
        pid = self.start(*FAST, "--heartbeat-grace", "500ms", "--autopsy", "off", text="while (true);", wait_ready=False)
        wait_for(lambda: not alive(pid), 10, "the end of the hung process")
        self.assertRegex(self.log(), r"hung: .*it never answered")

    def test_a_promise_that_waits_for_ever_is_no_matter_of_heartbeats(self):
        pid = self.start(*FAST, text="setInterval(() => {}, 1e6); process.send('ready'); new Promise(() => {}).then();")
        self.well()
        time.sleep(1.2)
        self.assertEqual(self.health(), "ok")
        self.assertTrue(alive(pid))

    def test_a_supervisor_that_was_stopped_blames_nobody(self):
        pid = self.start(*FAST)
        self.well()
        supervisor = self.tend.pids()[0]
        os.kill(supervisor, signal.SIGSTOP)
        time.sleep(2)
        os.kill(supervisor, signal.SIGCONT)
        self.well()
        self.assertTrue(alive(pid))
        self.assertNotIn("hung", self.log())

    def test_a_supervisor_that_was_killed_blames_nobody_and_its_successor_finds_a_hang(self):
        pid = self.start(*FAST, "--autopsy", "off")
        self.well()
        self.tend.supervisor_may_die = True
        for _ in range(5):
            os.kill(self.tend.pids()[0], signal.SIGKILL)
            self.well()
        self.assertTrue(alive(pid))
        self.assertNotIn("hung", self.log())
        # It hangs while nobody looks.
        os.kill(self.tend.pids()[0], signal.SIGKILL)
        self.get("/spin")
        wait_for(lambda: not alive(pid), 10, "the end of the hung process")

    def test_a_debugger_holds_a_process_as_long_as_it_likes(self):
        self.need("strace")
        pid = self.start(*FAST)
        self.well()
        # A tracer whose process is stopped, as at a breakpoint.
        tracer = subprocess.Popen(["strace", "-f", "-o", "/dev/null", "-p", str(pid)], stderr=subprocess.PIPE)
        try:
            wait_for(lambda: re.search(r"TracerPid:\t[1-9]", self.tend.read(f"/proc/{pid}/status")), what="the tracer")
            os.kill(pid, signal.SIGSTOP)
            time.sleep(2)
            self.assertTrue(alive(pid))
            self.assertNotIn("hung", self.log())
            os.kill(pid, signal.SIGCONT)
        finally:
            tracer.terminate()
            tracer.communicate()
        self.well()

    def test_where_a_debugger_is_expected_nothing_is_asked(self):
        self.start(*FAST, "--node-args", "--inspect=127.0.0.1:0")
        time.sleep(0.6)
        self.assertEqual(self.health(), "")

    def test_off_is_off(self):
        pid = self.start(*FAST, "--heartbeat", "off")
        self.get("/spin")
        time.sleep(1.2)
        self.assertTrue(alive(pid))
        self.assertEqual(self.health(), "")

    def test_garbage_in_the_channel_ends_nobody(self):
        text = APP + """
// Whatever descriptor the channel has.
setInterval(() => { for (const n of [4, 5]) try { fs.writeSync(n, 'TND1 is no frame, nor is this'); } catch {} }, 50);
"""
        pid = self.start(*FAST, text=text)
        time.sleep(1.5)
        self.assertTrue(alive(pid))
        self.assertEqual(self.row()["restarts"], 0)


# WATCHDOG=1, as any program under systemd sends it.
DOG = """import os, socket, sys, time
def say(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(text, "\\0" + os.environ["NOTIFY_SOCKET"][1:])
period = int(os.environ["WATCHDOG_USEC"]) / 1e6
assert int(os.environ.get("WATCHDOG_PID", os.getpid())) == os.getpid()
for _ in range(8):
    say(b"WATCHDOG=1")
    time.sleep(period / 2)
print("silent", flush=True)
time.sleep(1000)
"""


class Watchdog(HeartbeatTest):
    def test_a_python_program_that_stops_to_report_is_ended(self):
        pid = self.start(*FAST, "--autopsy", "off", text=DOG, script="dog.py", wait_ready=False)
        wait_for(lambda: self.health() == "ok", what="ok")
        self.tend.wait_text(self.tend.out_log("api"), "silent")
        self.assertTrue(alive(pid))
        wait_for(lambda: not alive(pid), 10, "the end of the silent process")
        self.assertEqual(self.full()["cause"]["kind"], "heartbeat")

    def test_it_is_known_to_a_successor_of_the_supervisor(self):
        pid = self.start(*FAST, "--autopsy", "off", text=DOG, script="dog.py", wait_ready=False)
        wait_for(lambda: self.health() == "ok", what="ok")
        self.tend.supervisor_may_die = True
        # Nobody hears its last words.
        supervisor = self.tend.pids()[0]
        os.kill(supervisor, signal.SIGSTOP)
        time.sleep(2.6)  # eight times half a period of 600 ms
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: not alive(pid), 10, "the end of the silent process")

    C_DOG = """#define _GNU_SOURCE
#include "tend_heartbeat.h"
#include <stdio.h>
int main(void) {
  const long period = strtol(getenv("WATCHDOG_USEC"), NULL, 10);
  if (strtol(getenv("WATCHDOG_PID"), NULL, 10) != (long)getpid()) return 9;
  for (int i = 0; i < 6; i++) {
    tend_notify("WATCHDOG=1\\nSTATUS=working");
    usleep((unsigned)period / 3);
  }
  puts("hanging");
  fflush(stdout);
  for (volatile long work = 0;;) work = work + 1;
}
"""

    def test_a_c_program_that_hangs_is_ended(self):
        self.need("cc")
        source = self.tend.script("dog.c", self.C_DOG)
        subprocess.run(["cc", "-I", ROOT / "packaging/clients", "-o", self.tend.work / "dog", source], check=True)
        self.tend.ok("start", self.tend.work / "dog", "--name", "dog", *FAST)
        pid = self.tend.app("dog")["pid"]
        wait_for(lambda: self.health("dog") == "ok", what="ok")
        self.tend.wait_text(self.tend.out_log("dog"), "hanging")
        wait_for(lambda: not alive(pid), 10, "the end of the hung program")
        self.assertEqual(self.full("dog")["cause"]["kind"], "heartbeat")

    def test_one_that_never_reported_is_left_alone_unless_it_must(self):
        text = "import time\ntime.sleep(1000)\n"
        free = self.start(*FAST, text=text, script="quiet.py", name="free", wait_ready=False)
        must = self.start(*FAST, "--heartbeat", "on", "--heartbeat-grace", "300ms", "--autopsy", "off", text=text,
                          script="quiet.py", name="must", wait_ready=False)
        wait_for(lambda: not alive(must), 10, "the end of the one that must answer")
        self.assertTrue(alive(free))
        self.assertEqual(self.health("free"), "")


if __name__ == "__main__":
    unittest.main()
