"""Starts programs that hang and the helper that looks into them. Used by the test and by the trials of bench/."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures/autopsy"
BLOCKED = FIXTURES / "blocked.js"


def line_of(way):
    """The line of blocked.js that blocks."""
    for number, line in enumerate(BLOCKED.read_text().splitlines(), 1):
        if line.endswith(f"// here: {way}"):
            return number
    raise KeyError(way)


class Hung:
    """A program that has said that it is ready, and is killed at the end of the block."""

    def __init__(self, argv, settle=0.05):
        self.child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
        self.pid = self.child.pid
        self.settle = settle

    @classmethod
    def node(cls, way, *more, node="node", settle=0.05):
        return cls([node, "-r", str(FIXTURES / "preload.js"), str(BLOCKED), way, *more], settle)

    def __enter__(self):
        if self.child.stdout.readline() != b"ready\n":
            raise AssertionError("the program did not come up")
        time.sleep(self.settle)  # for what comes after the line: nothing tells from outside that a loop spins
        return self

    def __exit__(self, *_):
        for send in (signal.SIGCONT, signal.SIGKILL):
            try:
                os.killpg(self.pid, send)
            except ProcessLookupError:
                pass
        self.child.wait()
        self.child.stdout.close()

    def alive(self):
        return self.child.poll() is None

    def said(self):
        """What it printed after "ready", without waiting for more."""
        os.set_blocking(self.child.stdout.fileno(), False)
        return (self.child.stdout.read() or b"").decode()


def autopsy(program, pid, ms=150, mode="inspector", start=0):
    """(report or None, the reports before it, seconds, exit code) of one helper."""
    began = time.monotonic()
    done = subprocess.run(["tend: autopsy", str(pid), str(ms), mode, str(start)], executable=program,
                          stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60)
    took = time.monotonic() - began
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    return (reports[-1] if reports else None), reports[:-1], took, done.returncode
