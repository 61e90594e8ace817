#!/usr/bin/env python3
"""What heartbeats cost, and how fast a hang is found and mended.

    python3 tests/bench/health_bench.py [--only hang,autopsy,cost,daemon,probes,loaded] [--tend PATH] [--minutes 10] [--homes 6]

hang     a Node app that blocks, interval 200ms, 3 misses: from the block to the successor's exec, autopsy included
autopsy  how many of 20 hangs each of an endless loop and a regular expression are named by function and line
cost     CPU of a Node app that is asked each second, against the same app that is not
daemon   CPU of both daemons for 500 native programs and for 50 Node apps that are asked each second
probes   CPU of the daemons and of tend-probe for 500 HTTP probes each 10 s
loaded   healthy apps on a machine with 4 times its cores busy and 5,000 log lines a second: restarts (needs stress-ng)
PM2 sees no hang, so nothing here has a figure of its own beside it. Nothing is asserted.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench import ROOT, Table
from managers import Manager, TendManager, run_topics

HANGING = """const fs = require('fs');
// When it was executed: what Node needs to come up is not the manager's.
fs.appendFileSync(process.env.STARTS, process.hrtime.bigint() - BigInt(Math.round(process.uptime() * 1e9)) + '\\n');
function blocked_here() {
  fs.appendFileSync(process.env.BLOCKS, process.hrtime.bigint() + '\\n');
  WAY
}
setTimeout(() => blocked_here(), +process.env.AFTER + Math.random() * 400);
"""
WAYS = {"while(1)": ("while (true);", 6), "regular expression": ("/^(a+)+$/.test('a'.repeat(40) + 'b');", 6)}
SERVER = "require('http').createServer((q, r) => r.end('x')).listen(0, '127.0.0.1');\n"


class Bench:
    def __init__(self, args):
        self.args = args
        self.dir = Path(tempfile.mkdtemp(prefix="tend-health-"))
        self.table = Table()
        self.stub = self.dir / "stub"
        subprocess.run(["cc", "-O2", "-static", "-o", self.stub, ROOT / "packaging/clients/example.c"], check=True)
        self.tend = TendManager("tend", args.tend, self.dir, self.stub)

    def close(self):
        self.tend.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def fresh(self):
        self.tend.kill()
        self.tend.fresh()

    def app(self, text, name="app.js"):
        path = self.dir / name
        path.write_text(text)
        return path

    def stamps(self, path):
        return [int(x) for x in path.read_text().split()] if path.exists() else []

    # The hang ------------------------------------------------------------------------------------------------------

    def hangs(self, way, trials, autopsy="inspector", after=1200):
        """ms from each block to the successor's exec; how many autopsies named the function and its line."""
        self.fresh()
        starts, blocks = self.dir / "starts", self.dir / "blocks"
        for path in (starts, blocks):
            path.unlink(missing_ok=True)
        script = self.app(HANGING.replace("WAY", WAYS[way][0]), "hanging.js")
        self.tend.env.update(STARTS=str(starts), BLOCKS=str(blocks), AFTER=str(after))
        self.tend.run("start", script, "--name", "hanging", "--heartbeat-interval", "200ms", "--heartbeat-misses", "3",
                      "--autopsy", autopsy, "--heartbeat-grace", "2s")
        named, seen = 0, 0
        while len(self.stamps(starts)) <= trials:
            time.sleep(0.2)
            if seen < len(self.stamps(starts)) - 1:
                time.sleep(0.4)
                seen = len(self.stamps(starts)) - 1
                named += self.is_named(way)
        self.tend.run("stop", "hanging")
        took = [(s - b) / 1e6 for b, s in zip(self.stamps(blocks)[:trials], self.stamps(starts)[1:trials + 1])]
        return took, named

    def is_named(self, way):
        """Whether the last hang's evidence has the function and its line."""
        answer = json.loads(self.tend.run("why", "hanging", "--last", "1", "--json"))
        ends = answer["apps"][0]["ends"]
        frames = (ends[-1].get("autopsy") or {}).get("frames", []) if ends else []
        return any(f["function"] == "blocked_here" and f["file"].endswith("hanging.js") and f["line"] == WAYS[way][1]
                   for f in frames)

    def hang(self):
        took, named = self.hangs("while(1)", 50)
        slow = sum(ms > 1000 for ms in took)
        self.table.plain("block to the successor's exec, autopsy included, median of 50 [ms]", "",
                         statistics.median(took))
        self.table.bound("the same, the slowest", "ms", max(took), None, 1000)
        self.table.bound("of 50, slower than 1 s", "", slow, None, 0)
        self.table.plain("of 50, named by function and line", "", named)

    def autopsy(self):
        for way in WAYS:
            _, named = self.hangs(way, 20)
            self.table.ratio(f"hangs named by function and line, {way}, of 20", "", named, None, 1)

    # What it costs -------------------------------------------------------------------------------------------------

    def cost(self):
        self.fresh()
        script = self.app(SERVER, "server.js")
        for name, word in (("asked", "on"), ("left", "off")):
            self.tend.run("start", script, "--name", name, "--heartbeat", word)
        time.sleep(5)
        pids = {r["name"]: r["pid"] for r in self.tend.jlist()}
        before = {n: Manager.work_of([p])[0] for n, p in pids.items()}
        time.sleep(60)
        used = {n: (Manager.work_of([p])[0] - before[n]) / 60 * 100 for n, p in pids.items()}
        self.table.bound("Node app asked each second: CPU, less that of one that is not", "%",
                         max(used["asked"] - used["left"], 0), None, 0.5)
        rss = {n: int(Path(f"/proc/{p}/statm").read_text().split()[1]) * 4096 / 1e6 for n, p in pids.items()}
        self.table.plain("the same: resident memory, more than one that is not", "MB", rss["asked"] - rss["left"])

    def daemon(self):
        for what, count, apps in (
                ("500 native programs", 500, [{"name": f"s{n}", "script": str(self.stub), "heartbeat": "on"}
                                              for n in range(500)]),
                ("50 Node apps", 50, [{"name": f"n{n}", "script": str(self.app(SERVER, "server.js"))}
                                      for n in range(50)])):
            self.fresh()
            self.tend.run("start", self.tend.file_of(apps))
            self.wait_well(count)
            time.sleep(3)
            daemons = self.tend.daemons()
            before = Manager.work_of(daemons)
            time.sleep(30)
            after = Manager.work_of(daemons)
            self.table.bound(f"both daemons, {what} asked each second: CPU", "%", (after[0] - before[0]) / 30 * 100, None, 2)
            well = self.wait_well(count)
            self.table.plain(f"{what}: well at the end", "", well)

    def wait_well(self, count):
        end = time.monotonic() + 60
        well = 0
        while well < count and time.monotonic() < end:
            rows = json.loads(self.tend.run("list", "--json"))
            well = sum(r.get("health", {}).get("word") == "ok" for r in rows)
            time.sleep(0.2)
        return well

    def probes(self):
        self.fresh()
        server = subprocess.Popen(["node", "-e", "const s = require('http').createServer((q, r) => r.end('well'));"
                                   "s.listen(0, '127.0.0.1', () => console.log(s.address().port));"],
                                  stdout=subprocess.PIPE, text=True)
        try:
            port = int(server.stdout.readline())
            sleep = shutil.which("sleep")
            apps = [{"name": f"p{n}", "script": sleep, "args": "100000", "interpreter": "none", "heartbeat": "off",
                     "probe": f"http://127.0.0.1:{port}/", "probe_for": "liveness"} for n in range(500)]
            self.tend.run("start", self.tend.file_of(apps))
            self.wait_well(500)
            daemons = list(self.tend.daemons())
            helper = [int(p) for p in subprocess.run(["pgrep", "-P", str(daemons[0]), "-f", "probe"], text=True,
                                                     capture_output=True, check=True).stdout.split()]
            before = Manager.work_of(daemons)[0], Manager.work_of(helper)[0]
            time.sleep(40)
            after = Manager.work_of(daemons)[0], Manager.work_of(helper)[0]
            daemon, asking = ((a - b) / 40 * 100 for a, b in zip(after, before))
            self.table.bound("500 HTTP probes each 10 s: daemons and tend-probe, CPU", "%", daemon + asking, None, 2)
            self.table.plain("of that tend-probe", "%", asking)
        finally:
            server.kill()
            server.wait()

    # Under load ----------------------------------------------------------------------------------------------------

    def loaded(self):
        """--homes daemons side by side, each with its own apps, under one load: so many times the minutes in one run."""
        self.tend.kill()
        cores = os.cpu_count()
        noisy = self.app("let n = 0; setInterval(() => { for (let i = 0; i < 50; i++) console.log('line', n++, 'x'.repeat(60)); },"
                         " 10);\n" + SERVER, "noisy.js")
        clustered = self.app(SERVER.replace("listen(0", "listen(+process.env.PORT"), "c.js")
        homes = [TendManager(f"tend-{n}", self.args.tend, self.dir, self.stub) for n in range(self.args.homes)]
        try:
            for home in homes:
                home.run("start", home.file_of([
                    {"name": "noisy", "script": str(noisy)}, {"name": "server", "script": str(self.app(SERVER, "server.js"))},
                    {"name": "cluster", "script": str(clustered), "instances": 2, "env": {"PORT": "0"}},
                    {"name": "stub", "script": str(self.stub), "heartbeat": "on"}]))
            time.sleep(10)
            seconds = int(self.args.minutes * 60)
            # A session of its own, as an app of tend is one: the kernel shares the machine among sessions.
            subprocess.run(["stress-ng", "--cpu", str(4 * cores), "--timeout", f"{seconds}s"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, check=True)
            rows = [r for home in homes for r in json.loads(home.run("list", "--json"))]
            log = "".join((home.home / "tend.log").read_text() for home in homes)
        finally:
            for home in homes:
                home.kill()
        self.table.bound(f"{self.args.homes} x {self.args.minutes:g} min at load {4 * cores} on {cores} cores, "
                         "5,000 lines/s each: restarts", "", sum(r["restarts"] for r in rows), None, 0)
        self.table.plain("of so many apps", "", len(rows))
        self.table.plain("lines of the daemons' logs that tell of lateness or misses", "",
                         log.count("] late") + log.count("] unhealthy"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="hang,autopsy,cost,daemon,probes")
    parser.add_argument("--tend", default=str(ROOT / "build/release/cmd/tend"))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--homes", type=int, default=6)
    args = parser.parse_args()
    run_topics(Bench(args), args.only)


if __name__ == "__main__":
    sys.exit(main())
