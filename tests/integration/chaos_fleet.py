"""The apps of the chaos drill, and the records that they keep themselves: what tend says is held against these.

Each start appends a line to the app's ledger. A logger keeps the number of its next line in a file of its own, written
after the line is in the pipe; it finishes a line before it obeys a signal, so none is printed twice or left out.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from harness import ROOT, free_port, limit, wait_for

LOGGER = """import mmap, os, signal, struct, sys, time
name = os.environ['CHAOS_NAME']
ends = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: ends.append(1))
file = os.open(name + '.next', os.O_RDWR | os.O_CREAT, 0o600)
os.ftruncate(file, 8)
place = mmap.mmap(file, 8)
n = struct.unpack('q', place[:])[0]
while not ends:
    for _ in range(5):
        line = b'line %d %s\\n' % (n, b'.' * (n % 60))
        while line:
            line = line[os.write(1, line):]
        n += 1
        place[:] = struct.pack('q', n)
    time.sleep(0.01)
"""
# The ledger before anything else: a stop that comes a moment later must find the line there, and Python takes longer.
WRITER = "#!/bin/sh\necho $$ >> $CHAOS_NAME.starts\nexec python3 logger.py\n"
SLEEPER = "#!/bin/sh\necho $$ >> $CHAOS_NAME.starts\nexec sleep 100000\n"
CRASHER = "#!/bin/sh\necho $$ >> $CHAOS_NAME.starts\nsleep 0.4\nexit 3\n"
FORKER = "#!/bin/sh\necho $$ >> $CHAOS_NAME.starts\n(setsid sleep 100000 &)\nsleep 100000 &\nexec sleep 100000\n"


MOST_WORKERS = 4


def line_of(n):
    """What a logger prints as its n-th line, without the newline."""
    return f"line {n} {'.' * (n % 60)}"


class Fleet:
    def __init__(self, tend):
        self.tend = tend
        self.port = free_port()
        self.raw = [f"raw{n}" for n in range(4)]
        self.timed = [f"timed{n}" for n in range(4)]
        self.loggers = self.raw + self.timed
        self.crashers = [f"crasher{n}" for n in range(6)]
        self.forkers = [f"forker{n}" for n in range(4)]
        self.sleepers = [f"sleeper{n}" for n in range(30)]
        self.restless = [*self.crashers, "cron"]  # start by themselves
        self.calm = self.loggers + self.forkers + self.sleepers
        self.workers = 3
        self.fresh = {}  # by name: starts after a stop, which are no restarts
        self.again = {}  # by name: commands that met a killed daemon, and then what they had begun
        self.windows = {}  # logger: [(first, last line that a full disk may have cost)]
        self.dropped = {}  # bytes that a full disk cost, as tend says at the end

    def start(self):
        tend = self.tend
        scripts = {"logger.py": LOGGER, "logger.sh": WRITER, "sleeper.sh": SLEEPER, "crasher.sh": CRASHER, "forker.sh": FORKER}
        for name, text in scripts.items():
            tend.script(name, text)
        shutil.copy(ROOT / "tests/fixtures/cluster/server.js", tend.work)
        apps = []

        def app(name, script, **more):
            apps.append({"name": name, "script": script, "env": {"CHAOS_NAME": name}, "kill_timeout": 30000, **more})

        for name in self.raw:
            app(name, "logger.sh")
        for name in self.timed:
            app(name, "logger.sh", time=True)
        for n, name in enumerate(self.crashers):
            pace = {"exp_backoff_restart_delay": 100} if n % 2 else {"restart_delay": 300}
            app(name, "crasher.sh", min_uptime=100, **pace)
        app("cron", "sleeper.sh", cron_restart="*/2 * * * * *")
        for name in self.forkers:
            app(name, "forker.sh", kill_timeout=1500)  # what a shell starts behind it ignores SIGINT
        for name in self.sleepers:
            app(name, "sleeper.sh")
        tend.ok("start", tend.json_file("fleet.json", {"apps": apps}))
        if self.serves:
            # A seat's socket stays for the next one who takes it, so all seats are taken once.
            tend.ok("start", "server.js", "--name", "web", "-i", MOST_WORKERS, env={"PORT": str(self.port)})
            tend.ok("scale", "web", self.workers)
        wait_for(lambda: all(self.starts(n) > 0 for n in (*self.calm, *self.restless)), 60, "each app's first line")

    def start_restless(self):
        """After they were stopped, maybe in the moment before their line: what was counted until then does not matter."""
        records = self.records()
        for name in self.restless:
            self.fresh[name] = self.starts(name) - records[name]["restarts"]
        self.tend.ok("start", *self.restless)

    @property
    def serves(self):
        return shutil.which("node") is not None

    # What apps wrote down ------------------------------------------------------------------------------------------

    def starts(self, name):
        return self.tend.read(f"{name}.starts").count("\n")

    def next_line(self, name):
        return int.from_bytes((self.tend.work / f"{name}.next").read_bytes(), "little")

    # What tend says -------------------------------------------------------------------------------------------------

    def rows(self):
        """The list. A supervisor that is killed meanwhile answers nothing, its successor does."""
        for _ in range(20):
            done = self.tend.run("list", "--json")
            if done.returncode == 0:
                return json.loads(done.stdout)
        raise AssertionError(f"tend list failed twenty times: {done.stderr}")

    def records(self):
        return {r["name"]: r for r in self.rows()}

    def said_again(self, words):
        for name in self.calm:
            if name in words:
                self.again[name] = self.again.get(name, 0) + 1

    def lost(self):
        """Log bytes that tend says a full disk cost, by app."""
        records = self.records()
        return {name: records[name].get("dropped", 0) for name in self.loggers}

    def agrees(self, name, status="online"):
        """Whether tend's counter is what the ledger says. Each start but the first, or after a stop, is a restart.
        A command that is said again may end a process that has not come to write its line."""
        before = self.starts(name)
        record = self.records()[name]
        silent = record["restarts"] + 1 + self.fresh.get(name, 0) - before
        return record["status"] == status and before == self.starts(name) and 0 <= silent <= self.again.get(name, 0)

    def settle(self, name):
        try:
            wait_for(lambda: self.agrees(name), 60, f"agreement about {name}")
        except AssertionError as error:
            record = self.records()[name]
            raise AssertionError(f"{error}: {self.starts(name)} starts, {record['restarts']} restarts, "
                                 f"{record['status']}") from None

    def restless_agree(self):
        """None of these can be asked at rest: once is enough, as a wrong number stays wrong."""
        for name in self.restless:
            self.settle(name)

    # Logs -----------------------------------------------------------------------------------------------------------

    def wrong_lines(self):
        """One line for each fault in the logs of the loggers, which must be stopped."""
        wrong = []
        for name in self.loggers:
            text = self.tend.read(self.tend.out_log(name))
            # In a raw log the last line before the disk was full may be cut, and the next one follows it.
            found = re.findall(r"line (\d+) (\.*)$", text, re.M)
            numbers = [int(n) for n, dots in found if len(dots) == int(n) % 60]
            wrong += self.faults(name, numbers)
        return wrong

    def faults(self, name, numbers):
        wrong, expected, missing = [], 0, 0
        windows = self.windows.get(name, [])
        for n in [*numbers, self.next_line(name)]:
            if n < expected:
                wrong.append(f"{name}: line {n} after line {expected - 1}")
            elif n > expected:
                gap = range(expected, n)
                if not any(first <= gap[0] and gap[-1] <= last for first, last in windows):
                    wrong.append(f"{name}: lines {gap[0]} to {gap[-1]} are lost; full disk at {windows}")
                missing += sum(len(line_of(k)) + 1 for k in gap)
            expected = max(expected, n + 1)
        # A raw log may have part of a line that the disk had no room for.
        slack = 70 * 2 * len(windows) if name in self.raw else 0
        if abs(self.dropped[name] - missing) > slack:
            wrong.append(f"{name}: {missing} bytes of lines are lost, {self.dropped[name]} are counted")
        return wrong


class Load:
    """Clients that never try again: half of them keep their connections."""

    def __init__(self, port, seconds):
        self.clients = [subprocess.Popen(
            ["node", str(ROOT / "tests/fixtures/cluster/load.js"), f"http://127.0.0.1:{port}", "4", str(seconds), mode],
            stdout=subprocess.PIPE, text=True) for mode in ("keep", "close")]

    def stop(self):
        found = []
        for client in self.clients:
            client.terminate()
            found.append(json.loads(client.communicate(timeout=limit(60))[0]))
        return found

    def kill(self):
        for client in self.clients:
            client.kill()
            client.wait()


class Disk:
    """The logs' folder on a small disk of its own, seen by this process and its children alone. Needs root."""

    def __init__(self, folder, megabytes):
        self.ballast = Path(folder) / "ballast"
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tend-chaos", folder], check=True)

    def fill(self):
        with open(self.ballast, "ab", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(1 << 20))
            except OSError:
                pass
            try:
                while True:
                    ballast.write(bytes(512))
            except OSError:
                pass

    def free(self):
        self.ballast.unlink(missing_ok=True)

    def remove(self):
        subprocess.run(["umount", "-l", self.folder], check=False)


def own_mounts():
    """Runs this program again in a mount namespace of its own; returns whether disks may be mounted."""
    if os.environ.get("TEND_CHAOS_MOUNTS"):
        return True
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0:
        return False
    os.environ["TEND_CHAOS_MOUNTS"] = "1"
    os.execvp("unshare", ["unshare", "-m", sys.executable, "-B", *sys.argv])
    return False
