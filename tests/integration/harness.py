"""Runs the real program in a home of its own, and proves afterwards that nothing of it is left.

TEND_PROGRAM    the program to run, whatever ctest says (bootstrap: the released one)
TEND_BIN        the program of the build that runs the test (default: build/release/cmd/tend of this checkout)
TEND_TEST_SCALE multiplies every time limit (sanitized builds are slow)
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = os.environ.get("TEND_PROGRAM") or os.environ.get("TEND_BIN") or str(ROOT / "build/release/cmd/tend")
SCALE = float(os.environ.get("TEND_TEST_SCALE", "1"))

# What a caller's environment must not bring into a test: another manager's variables, colours, a locale's words.
# What looks like a secret would be masked in what tend prints of it.
_SECRET = re.compile("PASS|SECRET|TOKEN|CREDENTIAL|PRIVATE|KEY", re.IGNORECASE)
_SCRUB = ("PM2_", "TEND_", "NODE_", "pm_", "npm_", "FORCE_COLOR", "LC_")


def limit(seconds):
    """A time limit that only a fault reaches."""
    return seconds * SCALE


def wait_for(predicate, timeout=10.0, what="the condition"):
    """Polls process state for which no event exists; returns the predicate's value."""
    end = time.monotonic() + limit(timeout)
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {limit(timeout):.0f} s")
        time.sleep(0.01)


def alive(pid):
    """Whether the process exists and is no zombie. Its first thread may be one while others still hold its files."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        return text[text.rindex(")") + 2] not in "ZX" or len(os.listdir(f"/proc/{pid}/task")) > 1
    except OSError:
        return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def processes_naming(text):
    """(pid, command line) of every living process with `text` in its environment or command line, but not this one."""
    needle = os.fsencode(text)
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            command = Path(f"/proc/{entry}/cmdline").read_bytes()
            environment = Path(f"/proc/{entry}/environ").read_bytes()
        except OSError:
            continue  # gone, or another user's
        if (needle in command or needle in environment) and alive(int(entry)):
            found.append((int(entry), command.replace(b"\0", b" ").decode(errors="replace")))
    return found


class Tend:
    """One home, its daemon and its apps."""

    def __init__(self, home=None, extra_env=None, prefix=()):
        self.dir = Path(tempfile.mkdtemp(prefix="tend-test-"))
        self.home = Path(home) if home else self.dir / "home"
        self.work = self.dir / "work"
        self.bin = self.dir / "bin"
        for folder in (self.work, self.bin):
            folder.mkdir()
        # A version manager's shim is a shell script that takes longer than the test; apps get the real interpreter.
        for name in ("python", "python3"):
            (self.bin / name).symlink_to(os.path.realpath(sys.executable))
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(_SCRUB) and not _SECRET.search(k)}
        self.env.update(
            TEND_HOME=str(self.home),
            PATH=f"{self.bin}:{self.env.get('PATH', '/usr/bin:/bin')}",
            LC_ALL="C.UTF-8",
            NO_COLOR="1",
            # A daemon's report would drown in its log; teardown looks for these files.
            ASAN_OPTIONS=f"log_path={self.dir}/sanitizer",
            UBSAN_OPTIONS=f"print_stacktrace=1:log_path={self.dir}/sanitizer",
            TSAN_OPTIONS=f"log_path={self.dir}/sanitizer",
        )
        self.env.update(extra_env or {})
        self.prefix = list(prefix)  # words before the program, for example setpriv
        self.supervisor_may_die = False
        self._first_supervisor = None

    # Running -----------------------------------------------------------------------------------------------------

    def popen(self, *args, env=None, **kwargs):
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        kwargs.setdefault("stdout", subprocess.PIPE)
        kwargs.setdefault("stderr", subprocess.PIPE)
        kwargs.setdefault("cwd", self.work)
        words = [*self.prefix, BIN, *map(str, args)]
        return subprocess.Popen(words, env={**self.env, **(env or {})}, text=True, errors="replace", **kwargs)

    def run(self, *args, timeout=60, check=False, env=None, stdin=None, cwd=None):
        """One command to its end. check: a non-zero exit fails the test with all that was printed."""
        kwargs = {"cwd": cwd} if cwd else {}
        with self.popen(*args, env=env, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                        **kwargs) as child:
            try:
                out, err = child.communicate(stdin, timeout=limit(timeout))
            except subprocess.TimeoutExpired:
                child.kill()
                out, err = child.communicate()
                raise AssertionError(f"tend {' '.join(map(str, args))}: no end after {limit(timeout):.0f} s\n"
                                     f"{out}{err}{self.daemon_log()}") from None
        done = subprocess.CompletedProcess(args, child.returncode, out, err)
        if check and done.returncode != 0:
            raise AssertionError(f"tend {' '.join(map(str, args))}: exit {done.returncode}\n"
                                 f"{out}{err}{self.daemon_log()}")
        if self._first_supervisor is None and args and args[0] == "start" and done.returncode == 0:
            self._first_supervisor = self.pids()[0]
        return done

    def ok(self, *args, **kwargs):
        return self.run(*args, check=True, **kwargs)

    def jlist(self):
        return json.loads(self.ok("jlist").stdout)

    def app(self, name):
        """The one record of that name, or None."""
        records = [r for r in self.jlist() if r["name"] == name]
        if len(records) > 1:
            raise AssertionError(f"{len(records)} apps are named {name}")
        return records[0] if records else None

    def status(self, name):
        record = self.app(name)
        return record["pm2_env"]["status"] if record else None

    def wait_status(self, name, status, timeout=10):
        wait_for(lambda: self.status(name) == status, timeout, f"{name} {status}")
        return self.app(name)

    def pids(self):
        """(supervisor, keeper)"""
        answer = json.loads(self.ok("ping", "--json").stdout)
        return answer["supervisor"]["pid"], answer["keeper"]["pid"]

    # Fixtures ----------------------------------------------------------------------------------------------------

    def script(self, name, text):
        """An executable file in the working folder."""
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def sleeper(self, name="sleeper.sh"):
        return self.script(name, "#!/bin/sh\nexec sleep 1000\n")

    def json_file(self, name, value):
        path = self.work / name
        path.write_text(json.dumps(value))
        return path

    def read(self, path):
        path = Path(path)
        path = path if path.is_absolute() else self.work / path
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_text(self, path, text, timeout=10):
        wait_for(lambda: text in self.read(path), timeout, f"{text!r} in {path}")
        return self.read(path)

    def out_log(self, name, index=None):
        return self.home / "logs" / (f"{name}-out.log" if index is None else f"{name}-out-{index}.log")

    def err_log(self, name):
        return self.home / "logs" / f"{name}-error.log"

    def daemon_log(self):
        text = self.read(self.home / "tend.log")
        return f"\n--- end of {self.home}/tend.log ---\n{text[-3000:]}" if text else ""

    # The end -----------------------------------------------------------------------------------------------------

    def close(self):
        """`tend kill`; then everything of this home must be gone. Returns what was wrong."""
        wrong = []
        try:
            if processes_naming(str(self.dir)):
                if self._first_supervisor and not self.supervisor_may_die:
                    with contextlib.suppress(AssertionError, ValueError, KeyError):
                        now = self.pids()[0]
                        if now != self._first_supervisor:
                            wrong.append(f"the supervisor died on the way ({self._first_supervisor}, now {now})")
                try:
                    done = self.run("kill")
                    if done.returncode != 0:
                        wrong.append(f"tend kill: exit {done.returncode}\n{done.stdout}{done.stderr}")
                except AssertionError as error:
                    wrong.append(str(error))
                try:
                    # The answer to kill precedes the daemons' own end by moments.
                    wait_for(lambda: not processes_naming(str(self.dir)), 5)
                except AssertionError:
                    wrong.append(f"left behind after kill: {processes_naming(str(self.dir))}")
                    # Each of the two daemons would start the other one again.
                    for _ in range(5):
                        for pid, _ in processes_naming(str(self.dir)):
                            with contextlib.suppress(OSError):
                                os.kill(pid, signal.SIGKILL)
            for report in sorted(self.dir.glob("sanitizer*")):
                wrong.append(f"{report.name}:\n{self.read(report)[:4000]}")
            if wrong:
                wrong.append(self.daemon_log())
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)
            shutil.rmtree(self.home, ignore_errors=True)
        return wrong


class TendTest(unittest.TestCase):
    """A fresh home for each test; leftovers fail the test."""

    maxDiff = None

    def setUp(self):
        if not os.access(BIN, os.X_OK):
            self.fail(f"no program at {BIN}: build it, or set TEND_BIN")
        self.tend = self.make_tend()

    def make_tend(self, **kwargs):
        tend = Tend(**kwargs)
        self.addCleanup(self._close, tend)
        return tend

    def _close(self, tend):
        wrong = tend.close()
        if wrong:
            self.fail("\n".join(wrong))

    def need(self, program):
        if not shutil.which(program):
            self.skipTest(f"no {program} in PATH")

    def need_root(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
