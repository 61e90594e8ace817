"""What stands on the screen: nearest names, colours, narrow terminals, wide letters, progress."""

import fcntl
import os
import pty
import re
import struct
import termios
import unicodedata
import unittest

from harness import BIN, TendTest


def cells(text):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


class Words(TendTest):
    def on_terminal(self, *args, columns=80, env=None):
        """What a terminal of this width gets."""
        child, terminal = pty.fork()
        if child == 0:
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.chdir(self.tend.work)
            environment = {**self.tend.env, "TERM": "xterm", **(env or {})}
            os.execve(BIN, [BIN, *args], {k: v for k, v in environment.items() if v != ""})
        seen = b""
        while True:
            try:
                part = os.read(terminal, 65536)
            except OSError:  # the end of a terminal whose last user is gone
                break
            if not part:
                break
            seen += part
        os.close(terminal)
        os.waitpid(child, 0)
        return seen.decode().replace("\r\n", "\n")

    def test_what_was_nearly_typed_is_named(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "garden")
        for words, near in ((("restrat", "garden"), "restart"), (("restart", "gardne"), "garden"),
                            (("describe", "gardenn"), "garden"), (("logs", "gardn", "--nostream"), "garden"),
                            (("start", "sleeper.sh", "--max-restart", "3"), "--max-restarts")):
            done = self.tend.run(*words)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(f"did you mean {near}?", done.stderr, words)
        done = self.tend.run("restart", "nothing-like-it")
        self.assertNotIn("did you mean", done.stderr)

    def test_a_file_that_is_not_there_is_no_missing_daemon(self):
        """Both end in ENOENT, and only one of them is the daemon's."""
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh")
        for words in (("export", "pm2", "/no/such/folder/x.json"), ("deploy", "nofile.json", "production")):
            done = self.tend.run(*words)
            self.assertEqual(done.returncode, 1, words)
            self.assertNotIn("no daemon runs", done.stderr, words)
        self.assertIn("/no/such/folder/x.json", self.tend.run("export", "pm2", "/no/such/folder/x.json").stderr)
        self.assertIn("nofile.json: No such file", self.tend.run("deploy", "nofile.json", "production").stderr)

    def test_a_narrow_terminal_gets_lines_that_fit_also_with_wide_letters(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "庭の番人が長い名前を持っている")
        for columns in (120, 80, 50, 40):
            out = re.sub(r"\x1b\[[0-9;]*m", "", self.on_terminal("ls", columns=columns))
            widths = {cells(line) for line in out.split("\n") if line}
            self.assertEqual(len(widths), 1, out)
            self.assertLessEqual(max(widths), columns, out)
            self.assertIn("庭", out)

    def test_colours_follow_the_terminal_and_the_environment(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh")
        self.assertNotIn("\x1b", self.tend.ok("ls").stdout)
        self.assertIn("\x1b[", self.on_terminal("ls", env={"NO_COLOR": ""}))
        self.assertNotIn("\x1b[", self.on_terminal("ls", env={"NO_COLOR": "1"}))
        self.assertNotIn("\x1b[", self.on_terminal("ls", "--no-color", env={"NO_COLOR": ""}))

    def test_long_work_tells_how_far_it_is_on_a_terminal_only(self):
        self.tend.script("slow.sh", "#!/bin/sh\ntrap '' INT\necho up\nwhile :; do sleep 0.1; done\n")
        self.tend.ok("start", "slow.sh", "-i", "2", "--kill-timeout", "1500")
        for n in (0, 1):
            self.tend.wait_text(self.tend.out_log("slow", n), "up")
        out = self.on_terminal("stop", "slow")
        self.assertRegex(out, r"\r\x1b\[Kstopping 2 · [01] s")
        self.assertNotIn("·", out.split("\x1b[K")[-1])  # the line is taken away
        self.tend.ok("start", "slow")
        for n in (0, 1):
            self.tend.wait_text(self.tend.out_log("slow", n), "up\nup")
        done = self.tend.ok("stop", "slow")
        self.assertNotIn("\r", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
