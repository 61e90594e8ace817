"""Logs under floods, and log files that somebody changed under the writer: exact bytes, bounded memory, nobody waits."""

import hashlib
import os
import re
import shutil
import subprocess
import time
import unittest
from pathlib import Path

from harness import TendTest, alive, limit, wait_for

SANITIZED = bool(os.environ.get("TEND_TEST_SCALE"))  # a sanitizer's shadow counts as resident
MIB = 1 << 20

# Writes as much as it is told, in pieces of 64 KiB, and notes what it wrote.
FLOOD = """import hashlib, os, sys, time
kind, count = sys.argv[1], int(sys.argv[2])
piece = {"endless": b"x" * 65536, "binary": bytes(range(256)) * 256, "zeroes": bytes(65536),
         "lines": (b"y" * 63 + b"\\n") * 1024}[kind]
digest, wrote = hashlib.sha256(), 0
for _ in range(count):
    at = 0
    while at < len(piece): at += os.write(1, piece[at:])
    digest.update(piece)
part = "%s.sum.%d" % (kind, os.getpid())  # one of many may write it
with open(part, "w") as f: f.write(digest.hexdigest())
os.rename(part, kind + ".sum")
time.sleep(1000)
"""
TICK = """import os, time
n = 0
while True:
    os.write(1, b"tick %06d\\n" % n)
    n += 1
    with open("ticks.new", "w") as f: f.write(str(n))
    os.rename("ticks.new", "ticks")
    time.sleep(0.005)
"""


def peak(pid):
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) << 10


def digest(*paths):
    value = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while piece := file.read(MIB):
                value.update(piece)
    return value.hexdigest()


class Floods(TendTest):
    def flood(self, kind, count, *flags, name=None):
        self.tend.script("flood.py", FLOOD)
        self.tend.ok("start", "flood.py", "--name", name or kind, *flags, "--", kind, str(count))

    def assert_small(self):
        if not SANITIZED:
            self.assertLess(peak(self.tend.pids()[0]), 40 * MIB)

    def finished(self, kind):
        return (self.tend.work / f"{kind}.sum").exists()

    def test_30_a_line_without_end_arrives_byte_for_byte(self):
        self.flood("endless", 3200)  # 200 MiB
        wait_for(lambda: self.finished("endless"), 60, "the last byte")
        files = lambda: sorted(self.tend.home.glob("logs/endless-out__*")) + [self.tend.out_log("endless")]  # noqa: E731
        wait_for(lambda: sum(f.stat().st_size for f in files()) == 3200 * 65536, 10, "all bytes in the log")
        self.assertGreater(len(files()), 1)  # put aside at 100 MiB, in the middle of its only line
        self.assertEqual(digest(*files()), self.tend.read("endless.sum"))
        self.assert_small()

    def test_30_a_dated_line_without_end_is_dated_once_and_loses_nothing(self):
        self.flood("endless", 800, "--time")  # 50 MiB
        wait_for(lambda: self.finished("endless"), 60, "the last byte")
        log, size = self.tend.out_log("endless"), 800 * 65536
        self.tend.ok("stop", "endless")
        dated = log.stat().st_size - size
        self.assertGreater(dated, 0)
        self.assertLess(dated, 100)
        with open(log, "rb") as file:
            self.assertRegex(file.read(dated), rb"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d: \Z|\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d: x?")
            left = size
            file.seek(21)
            while piece := file.read(MIB):
                left -= piece.count(b"x")
        self.assertEqual(left, 0)
        self.assert_small()

    def test_30_binary_bytes_and_zeroes_are_not_changed(self):
        for kind in ("binary", "zeroes"):
            self.flood(kind, 320)
        for kind in ("binary", "zeroes"):
            wait_for(lambda: self.finished(kind), 30, "the last byte")
            wait_for(lambda: self.tend.out_log(kind).stat().st_size == 320 * 65536, 10, "all bytes in the log")
            self.assertEqual(digest(self.tend.out_log(kind)), self.tend.read(f"{kind}.sum"))
        self.assert_small()

    def test_30_many_floods_at_once_lose_no_line_and_keep_commands_quick(self):
        self.flood("lines", 64, "-i", "16", "--merge-logs")  # 64 MiB in one file
        began = time.monotonic()
        self.assertIn("lines", self.tend.ok("list").stdout)
        self.assertLess(time.monotonic() - began, limit(5))
        log = self.tend.out_log("lines")
        wait_for(lambda: log.stat().st_size == 16 * 64 * 65536, 60, "all bytes in the log")
        with open(log, "rb") as file:
            self.assertEqual({line for line in file}, {b"y" * 63 + b"\n"})
        self.assert_small()

    def test_30_a_reader_that_takes_nothing_or_dies_costs_the_daemon_nothing(self):
        self.flood("lines", 800)  # 50 MiB
        followers = [self.tend.popen("logs", "lines"), self.tend.popen("logs", "lines", "--raw")]
        try:
            wait_for(lambda: self.finished("lines"), 60, "the last byte")
            wait_for(lambda: self.tend.out_log("lines").stat().st_size == 800 * 65536, 10, "all bytes in the log")
            followers[0].stdout.close()  # the reader of the follower dies
            self.tend.script("say.sh", "echo more; exec sleep 1000\n")
            self.tend.ok("start", "say.sh")
            self.assert_small()
        finally:
            for follower in followers:
                follower.kill()
                follower.wait(limit(10))
                for stream in (follower.stdout, follower.stderr):
                    stream.close()

    def test_30_the_end_of_the_reader_of_a_followed_log_ends_the_follower(self):
        self.tend.script("tick.py", TICK)
        self.tend.ok("start", "tick.py")
        follower = self.tend.popen("logs", "tick")
        follower.stdout.readline()
        follower.stdout.close()
        self.assertIsNotNone(follower.wait(limit(10)))
        follower.stderr.close()


class Replaced(TendTest):
    """The log's name means something else all of a sudden; what was open goes on, or the name is opened anew."""

    def setUp(self):
        super().setUp()
        self.tend.script("tick.py", TICK)
        self.tend.ok("start", "tick.py")
        self.log = self.tend.out_log("tick")
        self.tend.wait_text(self.log, "tick 000010\n")
        self.pid = self.tend.app("tick")["pid"]

    def ticks(self):
        return int(self.tend.read("ticks") or 0)

    def numbers(self, *paths):
        return [int(n) for p in paths for n in re.findall(r"tick (\d+)", self.tend.read(p))]

    def assert_going_on(self):
        before = self.ticks()
        wait_for(lambda: self.ticks() > before + 50, what="fifty more lines")
        began = time.monotonic()
        self.assertEqual(self.tend.app("tick")["pid"], self.pid)
        self.assertLess(time.monotonic() - began, limit(5))

    def assert_recovers(self, losing=True):
        """What comes after the name is free again is written, in order and once."""
        wait_for(self.log.is_file, what="a log file")
        wait_for(lambda: len(self.numbers(self.log)) > 20, what="new lines")
        numbers = self.numbers(self.log)
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))
        return numbers

    def test_31_removed_and_renamed(self):
        self.log.unlink()
        first = self.assert_recovers()
        aside = self.log.with_suffix(".aside")
        self.log.rename(aside)
        self.assert_recovers()
        both = self.numbers(aside, self.log)
        self.assertEqual(both, list(range(first[0], first[0] + len(both))))  # a rename loses nothing

    def test_31_a_pipe_in_its_place_blocks_nobody_and_what_is_lost_is_counted(self):
        aside = self.log.with_suffix(".aside")
        self.log.rename(aside)
        os.mkfifo(self.log)
        wait_for(lambda: self.lost() > 0, what="lost bytes")
        self.tend.wait_text(self.tend.home / "tend.log", "not a regular file")
        self.assert_going_on()
        reader = os.open(self.log, os.O_RDONLY | os.O_NONBLOCK)  # it gets nothing either
        self.assert_going_on()
        self.assertEqual(os.read(reader, 100), b"")
        os.close(reader)
        self.log.unlink()
        numbers = self.assert_recovers()
        self.assertEqual(self.lost(), len("tick 000000\n") * (numbers[0] - 1 - self.numbers(aside)[-1]))

    def lost(self):
        found = re.search(r"log bytes lost\s*│\s*(\d+)", self.tend.ok("describe", "tick").stdout)
        return int(found[1]) if found else 0

    def test_31_a_link_in_its_place_is_not_followed(self):
        victim = self.tend.work / "victim"
        victim.write_text("mine\n")
        self.log.unlink()
        self.log.symlink_to(victim)
        self.assert_going_on()
        self.tend.wait_text(self.tend.home / "tend.log", "a symbolic link is not followed")
        self.assertEqual(self.tend.run("flush", "tick").returncode, 1)
        self.tend.run("restart", "tick")
        self.pid = self.tend.app("tick")["pid"]
        self.assertEqual(victim.read_text(), "mine\n")
        self.log.unlink()
        wait_for(self.log.is_file, what="a log file")

    def test_31_a_folder_in_its_place_and_none_around_it(self):
        self.log.unlink()
        self.log.mkdir()
        self.assert_going_on()
        self.log.rmdir()
        self.assert_recovers()
        shutil.rmtree(self.tend.home / "logs")
        self.assert_recovers()

    def test_31_a_file_that_may_not_be_written_any_more_goes_on(self):
        before = len(self.numbers(self.log))
        self.log.chmod(0)
        self.assert_going_on()
        self.log.chmod(0o600)
        wait_for(lambda: len(self.numbers(self.log)) > before + 50, what="more lines")
        numbers = self.numbers(self.log)
        self.assertEqual(numbers, list(range(len(numbers))))


if __name__ == "__main__":
    unittest.main()
