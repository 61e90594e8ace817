#!/usr/bin/env python3
"""What it costs to lose nothing, and whether nothing is lost.

    python3 tests/bench/survival_bench.py [--only answer,kills,reader,journal,soak] [--tend PATH] [--pm2 PATH]
                                          [--kills 1000] [--minutes 60] [--pause 0] [--dynamic PATH]

answer   100 apps: kill -9 of the supervisor until `tend ping`, begun in that moment, has its answer
kills    random kills of the supervisor under load: restarts of apps, failed requests, log lines lost or doubled. With --pm2
         its daemon is killed once: it begins anew, so what was its apps runs on unknown to it
reader   10,000 restarts while a subscriber never reads: growth of both daemons, once the histories of ends are full
journal  system calls and bytes of the journal for each start, by strace, and 20 pairs in turn of a start of 100 apps with the
         journal and with its writes left out. For the latter --dynamic names a program that is not linked statically
         (cmake -B build/dynamic -DCMAKE_BUILD_TYPE=Release -DTEND_STATIC=OFF)
soak     commands of all sorts, crashes and kills without a pause: slope of memory and descriptors over the last half
Nothing is asserted.
"""

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import ROOT, Table
from managers import Pm2Manager, TendManager, processes_of, run_topics

sys.path.insert(0, str(ROOT / "tests/integration"))
from chaos_fleet import LOGGER, Load  # noqa: E402
from harness import free_port  # noqa: E402

SERVER = ROOT / "tests/fixtures/cluster/server.js"
MOST_ENDS = 40  # more than a history keeps
CRASHER = "#!/bin/sh\nsleep 0.3\nexit 3\n"
# Writes to the file whose name is $HIDDEN return at once and write nothing.
HIDE = r"""#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
static int hidden(int fd) {
  const char *name = getenv("HIDDEN");
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (!name || n <= 0) return 0;
  path[n] = 0;
  return strcmp(path, name) == 0;
}
ssize_t write(int fd, const void *data, size_t size) {
  static int fd_known = -1;
  if (fd_known == -1 && hidden(fd)) fd_known = fd;
  if (fd == fd_known) return (ssize_t)size;
  static ssize_t (*next)(int, const void *, size_t);
  if (!next) next = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  return next(fd, data, size);
}
"""


def rss(pid):
    """KiB"""
    return int(re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def slope(points):
    """(slope per hour, its standard error) of [(seconds, value)] by least squares."""
    n = len(points)
    mean_x, mean_y = (sum(p[i] for p in points) / n for i in (0, 1))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    b = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    rest = sum((y - mean_y - b * (x - mean_x)) ** 2 for x, y in points)
    return b * 3600, (rest / (n - 2) / spread) ** 0.5 * 3600


class Bench:
    def __init__(self, args):
        self.args = args
        self.dir = Path(tempfile.mkdtemp(prefix="tend-survival-"))
        self.table = Table()
        self.tend = TendManager("tend", args.tend, self.dir, "")

    def close(self):
        self.tend.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def fresh(self):
        self.tend.kill()
        self.tend.fresh()

    def script(self, name, text):
        path = self.tend.base / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    @staticmethod
    def sleepers(count, prefix="s", **more):
        return [{"name": f"{prefix}{n}", "script": "/bin/sleep", "args": "100000", "interpreter": "none", **more} for n in range(count)]

    def kill_supervisor(self):
        pid = self.tend.daemons()[0]
        os.kill(pid, signal.SIGKILL)

    # The answer -------------------------------------------------------------------------------------------------------

    def answer(self):
        self.fresh()
        self.tend.run("start", self.tend.file_of(self.sleepers(100)))
        took = []
        for _ in range(50):
            pid = self.tend.daemons()[0]
            began = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            self.tend.run("ping")
            took.append((time.monotonic() - began) * 1000)
            time.sleep(0.05)
        self.table.plain("kill -9 to the answer, 100 apps, median of 50 [ms]", "", statistics.median(took))
        self.table.bound("the same, the slowest", "ms", max(took), None, 100)

    # The kills --------------------------------------------------------------------------------------------------------

    def start_loaded(self, manager, port):
        """Two clustered servers, four loggers and 20 sleepers."""
        logger = self.tend.base / "logger.py"
        logger.write_text(LOGGER)
        shutil.copy(SERVER, manager.base / "server.js")
        apps = [{"name": f"log{n}", "script": "python3", "args": str(logger), "interpreter": "none", "time": n > 1,
                 "cwd": str(manager.base), "kill_timeout": 10000, "env": {"CHAOS_NAME": f"log{n}"}} for n in range(4)]
        manager.run("start", manager.file_of([*apps, *self.sleepers(20), {
            "name": "web", "script": str(manager.base / "server.js"), "exec_mode": "cluster", "instances": 2,
            "env": {"PORT": str(port)}}]))
        time.sleep(2)

    def wrong_lines(self, manager):
        """(lost, doubled or out of order) of all loggers, which are stopped."""
        lost = doubled = 0
        for n in range(4):
            printed = int.from_bytes((manager.base / f"log{n}.next").read_bytes(), "little")
            text = (manager.home / f"logs/log{n}-out.log").read_text()
            found = [int(m) for m, dots in re.findall(r"line (\d+) (\.*)$", text, re.M) if len(dots) == int(m) % 60]
            lost += len(set(range(printed)) - set(found))
            doubled += len(found) - len(set(found)) + sum(b < a for a, b in zip(found, found[1:]))
        return lost, doubled

    def kills(self):
        self.fresh()
        port = free_port()
        self.start_loaded(self.tend, port)
        before = {r["pm_id"]: r["pid"] for r in self.tend.jlist()}
        load = Load(port, 3600)
        dice = random.Random(7)
        began = time.monotonic()
        for n in range(self.args.kills):
            self.kill_supervisor()
            # After a hundred lives in a row of less than a second the keeper takes it for a fault of the supervisor's.
            time.sleep(1.1 if n % 50 == 49 else dice.random() * 0.15)
            if n % 100 == 99:
                print(f"  {n + 1} kills in {time.monotonic() - began:.0f} s", flush=True)
        found = load.stop()
        records = self.tend.jlist()
        after = {r["pm_id"]: r["pid"] for r in records}
        restarts = sum(r["pm2_env"]["restart_time"] for r in records) + sum(after.get(i) != pid for i, pid in before.items())
        self.tend.run("stop", *[f"log{n}" for n in range(4)])
        lost, doubled = self.wrong_lines(self.tend)
        lines = sum(int.from_bytes((self.tend.base / f"log{n}.next").read_bytes(), "little") for n in range(4))
        kills = f"{self.args.kills} kills of the supervisor under load: "
        self.table.bound(f"{kills}apps restarted, of {len(before)}", "", restarts, None, 0)
        self.table.bound(f"the same: requests failed, of {sum(f['sent'] for f in found)}", "", sum(f["failed"] for f in found),
                         None, 0)
        self.table.bound(f"the same: log lines lost, of {lines}", "", lost, None, 0)
        self.table.bound("the same: log lines doubled or out of order", "", doubled, None, 0)
        if self.args.pm2:
            self.kill_pm2()

    def kill_pm2(self):
        pm2 = Pm2Manager("pm2", self.args.pm2, self.dir, "")
        try:
            pm2.run("start", pm2.file_of(self.sleepers(20)))
            os.kill(pm2.daemons()[0], signal.SIGKILL)
            time.sleep(1)
            known = len(pm2.jlist())
            self.table.plain("one kill of the daemon: apps that it knows afterwards, of 20", "", 20, known)
        finally:
            pm2.kill()
            for pid in processes_of(str(pm2.base)):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)

    # The reader -------------------------------------------------------------------------------------------------------

    def reader(self):
        self.fresh()
        self.tend.run("start", self.tend.file_of(self.sleepers(100)))
        young = rss(self.tend.daemons()[0])
        for _ in range(MOST_ENDS):
            self.tend.run("restart", "all")
        reader = subprocess.Popen([self.args.tend, "events", "--json"], env=self.tend.env, stdout=subprocess.PIPE,
                                  stdin=subprocess.DEVNULL)
        try:
            self.tend.run("restart", "s0")
            reader.stdout.readline()  # it has subscribed
            reader.send_signal(signal.SIGSTOP)
            pids = self.tend.daemons()
            before = [rss(pid) for pid in pids]
            for _ in range(100):
                self.tend.run("restart", "all")
            after = [rss(pid) for pid in pids]
            restarts = sum(r["pm2_env"]["restart_time"] for r in self.tend.jlist())
        finally:
            reader.kill()
            reader.wait()
        self.table.plain(f"the supervisor's growth while the histories of 100 apps fill up ({young} KiB) [KiB]", "",
                         before[0] - young)
        for who, first, last in zip(("supervisor", "keeper"), before, after):
            self.table.bound(f"{restarts} restarts and a subscriber that never reads: growth of the {who} ({first} KiB)", "KiB",
                             last - first, None, 1024)

    # The journal ------------------------------------------------------------------------------------------------------

    def journal(self):
        self.fresh()
        self.tend.run("start", self.tend.file_of(self.sleepers(1, "first")))
        supervisor = self.tend.daemons()[0]
        trace = self.dir / "trace"
        strace = subprocess.Popen(["strace", "-f", "-y", "-q", "-e", "trace=write,pwrite64,writev,fsync,fdatasync,sync_file_range,"
                                   "msync,rename,renameat,ftruncate", "-o", trace, "-p", str(supervisor)])
        time.sleep(1)
        self.tend.run("start", self.tend.file_of(self.sleepers(100)))
        time.sleep(0.5)
        strace.terminate()
        strace.wait()
        text = trace.read_text(errors="replace")
        writes = re.findall(rf"p?writev?(?:64)?\(\d+<{re.escape(str(self.tend.home))}/journal>.*= (\d+)$", text, re.M)
        syncs = len(re.findall(r"\b(fsync|fdatasync|msync|sync_file_range)\(", text))
        self.table.plain("journal: system calls for each start, of 100 in one file", "", len(writes) / 100)
        self.table.plain("journal: bytes for each start", "", sum(map(int, writes)) / 100)
        self.table.bound("journal: fsync and its like in 100 starts", "", syncs, None, 0)
        if self.args.dynamic:
            self.pairs()

    def pairs(self):
        shim = self.dir / "hide.so"
        source = self.dir / "hide.c"
        source.write_text(HIDE)
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
        took = {"with": [], "without": []}
        for n in range(40):
            which = ("with", "without")[(n + n // 2) % 2]
            tend = TendManager("tend", self.args.dynamic, self.dir, "")
            hidden = str(tend.home / "journal") if which == "without" else "/nowhere"
            tend.env.update(LD_PRELOAD=str(shim), HIDDEN=hidden)  # both pay for the shim
            try:
                tend.run("start", tend.file_of(self.sleepers(1, "first")))
                apps = tend.file_of(self.sleepers(100))
                began = time.monotonic()
                tend.run("start", apps)
                took[which].append((time.monotonic() - began) * 1000)
                if ((tend.home / "journal").stat().st_size > 10_000) != (which == "with"):
                    raise RuntimeError("the shim did not do what it is for")
            finally:
                tend.kill()
        medians = {which: statistics.median(times) for which, times in took.items()}
        self.table.plain("start of 100 apps with the journal, median of 20 in turn [ms]", "", medians["with"])
        self.table.plain("the same without its writes [ms]", "", medians["without"])

    # The soak ---------------------------------------------------------------------------------------------------------

    def soak(self):
        self.fresh()
        port = free_port()
        crasher = self.script("crasher.sh", CRASHER)
        logger = self.script("logger.py", LOGGER)
        shutil.copy(SERVER, self.tend.base / "server.js")
        self.tend.run("start", self.tend.file_of([
            *self.sleepers(20),
            *[{"name": f"crash{n}", "script": str(crasher), "restart_delay": 100, "min_uptime": 100} for n in range(3)],
            {"name": "cron", "script": "/bin/sleep", "args": "1000", "interpreter": "none", "cron_restart": "*/3 * * * * *"},
            *[{"name": f"log{n}", "script": "python3", "args": str(logger), "interpreter": "none", "cwd": str(self.tend.base),
               "max_size": "1M", "env": {"CHAOS_NAME": f"log{n}"}} for n in range(2)],
            {"name": "web", "script": str(self.tend.base / "server.js"), "exec_mode": "cluster", "instances": 2,
             "env": {"PORT": str(port)}}]))
        load = Load(port, self.args.minutes * 60 + 60)
        dice, points, done = random.Random(11), [], {}
        once = self.tend.file_of(self.sleepers(3, prefix="once", namespace="once"))
        actions = {
            "restart": lambda: self.tend.run("restart", f"s{dice.randrange(20)}"),
            "reload": lambda: self.tend.run("reload", "web"),
            "scale": lambda: (self.tend.run("scale", "web", "3"), self.tend.run("scale", "web", "2")),
            "stop and start": lambda: (self.tend.run("stop", "s1"), self.tend.run("start", "s1")),
            "start and delete": lambda: (self.tend.run("start", once), self.tend.run("delete", "once")),
            "list": lambda: self.tend.run("list"),
            "jlist": self.tend.jlist,
            "logs": lambda: self.tend.run("logs", "--nostream", "--lines", "50"),
            "why": lambda: self.tend.run("why", "all"),
            "save": lambda: self.tend.run("save"),
            "crash": lambda: self.crash("s2"),
            "gone": self.leave_in_the_middle,
        }
        pids = self.tend.daemons()
        began = next_look = time.monotonic()
        end = began + self.args.minutes * 60
        try:
            while (now := time.monotonic()) < end:
                if now >= next_look:
                    next_look += self.args.minutes  # 60 samples in all
                    points.append((now - began, *[rss(p) for p in pids], *[descriptors(p) for p in pids]))
                    print("  " + " ".join(f"{x:.0f}" for x in points[-1]), flush=True)
                name = dice.choice(list(actions))
                try:
                    actions[name]()
                except ProcessLookupError:
                    pass
                except RuntimeError as error:  # on a starved machine a successor may not be ready in time
                    print(f"  {error}", flush=True)
                    name += " failed"
                done[name] = done.get(name, 0) + 1
                time.sleep(self.args.pause)
        finally:
            found = load.stop()
        if self.tend.daemons() != pids:
            raise RuntimeError("a daemon died")
        half = points[len(points) // 2:]
        print(f"  {done}; requests {sum(f['sent'] for f in found)}, failed {sum(f['failed'] for f in found)}")
        for n, what in enumerate(("supervisor's memory [KiB/h]", "keeper's memory [KiB/h]", "supervisor's descriptors [1/h]",
                                  "keeper's descriptors [1/h]")):
            value, error = slope([(p[0], p[n + 1]) for p in half])
            self.table.plain(f"soak of {self.args.minutes:g} min, last half: {what}, ± {error:.2g}", "", value)

    def crash(self, name):
        if pid := self.tend.pid_of(name):  # 0 would be the own group
            os.kill(pid, signal.SIGKILL)

    def leave_in_the_middle(self):
        """Clients that go before their answer."""
        for words in (("logs",), ("events", "--json"), ("monit",), ("list",)):
            client = subprocess.Popen([self.args.tend, *words], env=self.tend.env, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.02)
            client.kill()
            client.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="answer,kills,reader,journal")
    parser.add_argument("--tend", type=os.path.abspath, default=str(ROOT / "build/release/cmd/tend"))
    parser.add_argument("--pm2", type=os.path.abspath)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--pause", type=float, default=0, help="seconds between two commands of the soak")
    parser.add_argument("--dynamic", type=os.path.abspath)
    args = parser.parse_args()
    run_topics(Bench(args), args.only)


if __name__ == "__main__":
    main()
