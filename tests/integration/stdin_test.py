"""The standard input of apps: send and attach."""

import os
import selectors
import signal
import subprocess
import time
import unittest

from harness import BIN, TendTest, limit, wait_for

READLINE = """
require('readline').createInterface({input: process.stdin}).on('line', (l) => console.log('line ' + l))
  .on('close', () => console.log('closed'));
"""
BASH = "while read -r line; do echo \"got $line\"; done; echo ended\n"


class Stdin(TendTest):
    def said(self, name, text):
        return self.tend.wait_text(self.tend.app(name)["pm2_env"]["pm_out_log_path"], text)

    def pm2(self, *words, stdin=""):
        link = self.tend.bin / "pm2"
        if not link.exists():
            link.symlink_to(BIN)
        return subprocess.run([link, *words], env={**self.tend.env, "PM2_HOME": str(self.tend.home)}, cwd=self.tend.work,
                              text=True, capture_output=True, input=stdin, timeout=limit(30))

    def test_programs_that_read_to_the_end_live_on_and_get_lines(self):
        self.tend.script("read.sh", BASH)
        self.tend.ok("start", "cat")
        self.tend.ok("start", "read.sh")
        for name, prefix in (("cat", ""), ("read", "got ")):
            self.tend.ok("send", name, "first line")
            self.tend.ok("send", name, "--", "-second 'ü'")
            self.assertEqual(self.said(name, "second 'ü'\n"), f"{prefix}first line\n{prefix}-second 'ü'\n")
            self.assertEqual(self.tend.status(name), "online")

    def test_node_readline_in_both_modes_and_a_new_pipe_after_a_restart(self):
        self.need("node")
        self.tend.script("app.js", READLINE)
        for mode in ("fork", "cluster"):
            name = "app" + mode
            self.tend.ok("start", "app.js", "--name", name, "--exec-mode", mode)
            self.tend.ok("send", name, "one")
            self.said(name, "line one\n")
            self.tend.ok("restart", name)
            self.tend.ok("send", name, "two")
            self.assertEqual(self.said(name, "line two\n").count("two"), 1)

    def test_the_pipe_outlives_the_supervisor(self):
        self.tend.ok("start", "cat")
        pid = self.tend.app("cat")["pid"]
        self.tend.supervisor_may_die = True
        for n in range(3):
            self.tend.ok("send", "cat", f"line {n}")
            os.kill(self.tend.pids()[0], signal.SIGKILL)
        self.tend.ok("send", "cat", "the end")
        self.assertEqual(self.said("cat", "the end\n"), "line 0\nline 1\nline 2\nthe end\n")
        self.assertEqual(self.tend.app("cat")["pid"], pid)

    def test_whoever_cannot_be_told_is_named(self):
        self.tend.ok("start", "sleep", "--name", "deaf", "--", "1000")
        self.tend.script("closed.sh", "exec <&-; exec sleep 1000\n")
        self.tend.ok("start", "closed.sh")
        self.tend.ok("start", "cat")
        self.tend.ok("stop", "cat")
        began = time.monotonic()
        done = self.tend.run("send", "deaf", "x" * 100_000)  # the pipe takes 64 KiB
        self.assertEqual((done.returncode, done.stderr),
                         (1, "tend: deaf (0): does not read its standard input\n"))
        self.assertLess(time.monotonic() - began, 20)
        wait_for(lambda: "has closed its standard input" in self.tend.run("send", "closed", "x").stderr, what="EPIPE")
        for words, text in ((("cat", "x"), "not running"), (("nobody", "x"), "not found"), (("cat",), "missing operand"),
                            (("cat", "a", "b"), "accepted: <app> <line>")):
            done = self.tend.run("send", *words)
            self.assertIn(done.returncode, (1, 2))
            self.assertIn(text, done.stderr)
        self.tend.ok("ping")

    def test_pm2_takes_a_number_of_a_process_in_fork_mode(self):
        self.need("node")
        self.tend.script("app.js", READLINE)
        self.tend.ok("start", "cat")
        self.tend.ok("start", "app.js", "-i", "1")
        done = self.pm2("send", "0", "hello")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("│ cat", done.stdout)
        self.said("cat", "hello\n")
        for word, text in (("1", "Cannot send line to processes in cluster mode"), ("9", "Process with ID <9> unknown."),
                           ("cat", "Process with ID <cat> unknown.")):
            done = self.pm2("send", word, "x")
            self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "", f"[PM2][ERROR] Error: {text}\n"))
        self.tend.ok("stop", "cat")
        self.assertIn("Process with ID <0> offline.", self.pm2("send", "0", "x").stderr)
        done = self.pm2("attach", "cat")
        self.assertEqual((done.returncode, done.stderr), (1, "pm_id must be a process number (not a process name)\n"))


class Attach(TendTest):
    def attach(self, *words):
        child = self.tend.popen("attach", *words, stdin=subprocess.PIPE)
        self.addCleanup(child.communicate)
        self.addCleanup(child.kill)
        os.set_blocking(child.stdout.fileno(), False)
        child.shown = ""
        return child

    def until(self, child, text):
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            end = time.monotonic() + limit(10)
            while text not in child.shown:
                self.assertTrue(selector.select(max(0, end - time.monotonic())), f"{text!r} not in {child.shown!r}")
                piece = os.read(child.stdout.fileno(), 65536).decode()
                self.assertTrue(piece, f"it ended; shown: {child.shown!r}")
                child.shown += piece

    def type(self, child, text):
        child.stdin.write(text)
        child.stdin.flush()

    def test_what_is_typed_reaches_the_app_and_its_answers_are_shown(self):
        # A prompt has no end of line.
        self.tend.script("ask.py", "import sys\nwhile True:\n  x = input('name? ')\n  print('hello', x)\n")
        self.tend.ok("start", "ask.py")
        self.tend.wait_text(self.tend.out_log("ask"), "name? ")
        child = self.attach("ask")
        self.type(child, "ann\nbob\n")
        self.until(child, "hello ann\nname? hello bob\nname? ")
        self.type(child, "eve")  # the end of the file ends the line
        out, err = child.communicate(timeout=limit(10))
        self.assertEqual((child.returncode, err), (0, ""))
        self.assertIn("hello eve", (out or "") + child.shown)
        self.assertEqual(self.tend.status("ask"), "online")

    def test_it_stays_attached_over_a_restart_and_a_kill_of_the_supervisor(self):
        self.tend.ok("start", "cat")
        child = self.attach("cat")
        self.type(child, "one\n")
        self.until(child, "one\n")
        self.tend.ok("restart", "cat")
        self.type(child, "two\n")
        self.until(child, "two\n")
        self.tend.supervisor_may_die = True
        supervisor = self.tend.pids()[0]
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: self.tend.pids()[0] != supervisor, what="a successor")
        self.type(child, "three\n")
        self.until(child, "three\n")
        self.tend.ok("stop", "cat")
        self.type(child, "four\n")
        _, err = child.communicate(timeout=limit(10))
        self.assertEqual((child.returncode, err), (1, "tend: not sent: cat (0) not running\n"))

    def test_errors_are_shown_too_and_the_separator_is_the_callers(self):
        # All of it at once, in however many pieces it came.
        self.tend.script("raw.py", "import os\nb = b''\nwhile True:\n  b += os.read(0, 100)\n"
                                   "  if b.count(b';') == 2: os.write(2, repr(b).encode() + b'\\n')\n")
        self.tend.ok("start", "raw.py")
        done = self.tend.run("attach", "raw", ";", stdin="a\nb")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", "b'a;b;'\n"))

    def test_one_process_is_named(self):
        self.need("node")
        self.tend.script("app.js", READLINE)
        self.tend.ok("start", "app.js", "-i", "2")
        done = self.tend.run("attach", "app")
        self.assertEqual((done.returncode, done.stderr),
                         (2, "tend: attach: found 2 processes of app (ids 0, 1); accepted: one\n"))
        done = self.tend.run("attach", "1", stdin="x\n")
        self.assertEqual((done.returncode, done.stdout), (0, "line x\n"))
        self.assertEqual(self.tend.run("attach", "nobody").returncode, 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
