"""tend monit on a pseudo-terminal."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

from harness import BIN, TendTest, limit, wait_for


class MonitTest(TendTest):
    def setUp(self):
        super().setUp()
        self.tend.script("talker.sh", "#!/bin/sh\necho first words\nexec sleep 1000\n")
        self.tend.ok("start", "talker.sh", "--name", "talker")
        self.tend.ok("start", self.tend.sleeper())
        self.text = ""

    def open(self, rows=30, columns=100, word="monit"):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        self.addCleanup(os.close, theirs)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(theirs)
        child = subprocess.Popen([BIN, word], stdin=theirs, stdout=theirs, stderr=theirs, env=self.tend.env,
                                 start_new_session=True,
                                 preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0))
        self.addCleanup(child.kill)
        self.ours, self.theirs = ours, theirs
        return child

    def read(self):
        while select.select([self.ours], [], [], 0)[0]:
            self.text += os.read(self.ours, 65536).decode(errors="replace")
        return self.text

    def sees(self, text, timeout=10):
        wait_for(lambda: text in self.read(), timeout, f"{text!r} on the screen")

    def press(self, keys):
        self.text = ""
        os.write(self.ours, keys.encode())

    def restored(self, child):
        status = child.wait(limit(10))
        self.assertEqual(termios.tcgetattr(self.theirs), self.before)
        self.assertIn("\x1b[?1049l", self.read())
        return status

    def test_it_shows_list_logs_and_metadata_and_restores_the_terminal(self):
        child = self.open()
        self.sees("[0] talker")
        self.sees("[1] sleeper")
        self.sees("first words")
        self.sees("talker Logs")
        self.press("\x1b[B")
        self.sees("sleeper Logs")
        self.assertIn(">", self.text)
        self.press("\t")
        self.press("q")
        self.assertEqual(self.restored(child), 0)

    def test_new_lines_appear_and_nothing_is_drawn_where_nothing_changes(self):
        child = self.open(word="dash")
        self.sees("first words")
        with open(self.tend.app("talker")["pm2_env"]["pm_out_log_path"], "a") as log:
            log.write("more words\x1b[31m\n")
        self.sees("more words\\x1")
        self.text = ""
        time.sleep(1.5)
        self.assertLess(len(self.read()), 1000)
        os.write(self.ours, b"\x03")  # Ctrl-C
        self.assertEqual(self.restored(child), 0)

    def test_it_follows_the_size_of_the_terminal(self):
        child = self.open()
        self.sees("talker Logs")
        self.text = ""
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 70, 0, 0))
        self.sees("\x1b[20;1H")
        rows = [int(row) for row in re.findall(r"\x1b\[(\d+);1H", self.text)]
        self.assertEqual(max(rows), 20)
        self.text = ""
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", 5, 20, 0, 0))
        self.sees("a terminal of at le")
        child.terminate()
        self.assertEqual(self.restored(child), 0)

    def test_a_stop_gives_the_terminal_back_for_its_time(self):
        child = self.open()
        self.sees("talker Logs")
        child.send_signal(signal.SIGTSTP)
        wait_for(lambda: open(f"/proc/{child.pid}/stat").read().rpartition(")")[2].split()[0] == "T", what="stopped")
        self.assertEqual(termios.tcgetattr(self.theirs), self.before)
        self.read()
        self.text = ""
        child.send_signal(signal.SIGCONT)
        self.sees("\x1b[?1049h")
        self.sees("talker Logs")
        self.press("q")
        self.assertEqual(self.restored(child), 0)

    def test_the_end_of_the_daemon_is_told_on_the_terminal_as_it_was(self):
        child = self.open()
        self.sees("talker Logs")
        self.tend.ok("kill")
        self.assertNotEqual(self.restored(child), 0)
        self.assertIn("tend: ", self.text.rpartition("\x1b[?1049l")[2])

    def test_without_a_terminal_it_says_so(self):
        done = self.tend.run("monit")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr, "tend: monit: needs a terminal; list and logs print to anything\n")


if __name__ == "__main__":
    unittest.main()
