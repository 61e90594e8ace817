"""The two process managers behind one set of verbs, each in a home of its own."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path


def processes_of(text):
    """Pids with `text` in their environment, this process aside."""
    needle, found = os.fsencode(text), []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError):
                if needle in Path(f"/proc/{entry}/environ").read_bytes():
                    found.append(int(entry))
    return found


def run_topics(bench, names):
    """Each of the methods that the comma list names; the table of what they found at the end."""
    try:
        for name in names.split(","):
            print(f"{name}:", flush=True)
            getattr(bench, name)()
    finally:
        bench.close()
    print("\n" + bench.table.text())


class Manager:
    home_variable = ""

    def __init__(self, name, command, base, tools):
        self.name = name
        self.command = command
        self.base = base / name
        self.tools = str(tools)
        self.runs = 0
        self.home = None
        self.env = {}
        self.fresh()

    def fresh(self):
        """The next command finds an empty home."""
        self.runs += 1
        self.home = self.base / f"home-{self.runs}"
        self.home.parent.mkdir(parents=True, exist_ok=True)
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("PM2_", "TEND_", "pm_", "npm_", "NODE_"))}
        self.env = {**keep, self.home_variable: str(self.home), "HOME": str(self.base), "TERM": "dumb"}

    def run(self, *args, timeout=900):
        done = subprocess.run([self.command, *map(str, args)], env=self.env, cwd=self.base, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", timeout=timeout, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{self.name} {' '.join(map(str, args))}: exit {done.returncode}\n"
                               f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def timed(self, *args):
        """(wall seconds, peak RSS in MiB) of one command."""
        done = subprocess.run([self.tools, "watch", self.command, *map(str, args)], env=self.env, cwd=self.base,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900, check=True)
        wall, peak, status = map(int, done.stdout.split())
        if status != 0:
            raise RuntimeError(f"{self.name} {' '.join(map(str, args))}: exit {status}")
        return wall / 1e9, peak / 1024

    def file_of(self, apps):
        path = self.base / f"apps-{time.monotonic_ns()}.json"
        path.write_text(json.dumps({"apps": apps}))
        return path

    def jlist(self):
        text = self.run("jlist")
        return json.loads(text[re.search(r"\[(\{|\])", text).start():])

    def pid_of(self, name):
        return next(r["pid"] for r in self.jlist() if r["name"] == name)

    def daemons(self):
        raise NotImplementedError

    def daemon_pss(self):
        """MiB of all daemon processes together, shared pages divided."""
        total = 0
        for pid in self.daemons():
            total += int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])
        return total / 1024

    @staticmethod
    def work_of(pids):
        """(CPU seconds, voluntary context switches) of all threads of these processes so far. Asks no daemon, wakes none."""
        cpu, switches = 0.0, 0
        for pid in pids:
            for task in os.listdir(f"/proc/{pid}/task"):
                folder = Path(f"/proc/{pid}/task/{task}")
                try:
                    cpu += int((folder / "schedstat").read_text().split()[0]) / 1e9
                except OSError:
                    fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                    cpu += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                switches += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (folder / "status").read_text(), re.M)[1])
        return cpu, switches

    def kill(self):
        """The daemon and all apps of this home end, by their own command, else by force."""
        if not processes_of(str(self.home)):
            return
        with contextlib.suppress(Exception):
            self.run("kill")
        end = time.monotonic() + 5
        while (left := processes_of(str(self.home))) and time.monotonic() < end:
            time.sleep(0.02)
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.home, ignore_errors=True)


class TendManager(Manager):
    home_variable = "TEND_HOME"

    def daemons(self):
        answer = json.loads(self.run("ping", "--json"))
        return answer["supervisor"]["pid"], answer["keeper"]["pid"]


class Pm2Manager(Manager):
    home_variable = "PM2_HOME"

    def daemons(self):
        return (int((self.home / "pm2.pid").read_text()),)


def install_pm2(folder, version="7.0.4"):
    """The program's path; npm fetches it when the folder does not have it yet."""
    program = Path(folder) / "node_modules/.bin/pm2"
    if not program.exists():
        Path(folder).mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--loglevel=error",
                        f"pm2@{version}"], check=True, stdin=subprocess.DEVNULL)
    return program
