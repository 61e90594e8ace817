#!/usr/bin/env python3
"""Measures clusters of an unmodified Node server: tend, PM2 and Node's own cluster module, side by side in one run.

    python3 tests/bench/cluster_bench.py [--quick] [--only speed,spread] [--pm2 PATH] [--tend PATH] [--output FILE]

Needs wrk (apt-get install wrk). PM2 and express are installed from npm outside the checkout. Nothing is asserted.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from bench import Table
from managers import Manager, Pm2Manager, TendManager, install_pm2

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LOAD = ROOT / "tests/fixtures/cluster/load.js"
POLICIES = ("reuseport", "shared", "rr", "least", "sticky")

SERVER = """require('http').createServer((q, r) => r.end(process.pid + '\\n')).listen(+process.env.PORT, '127.0.0.1');
"""
EXPRESS = """const app = require('express')();
app.get('/', (q, r) => r.send(process.pid + ' x'));
app.post('/echo', (q, r) => { q.resume(); q.on('end', () => r.send(process.pid + ' x')); });
app.listen(+process.env.PORT, '127.0.0.1');
"""
PRIMARY = """const cluster = require('cluster');
if (cluster.isPrimary) for (let i = 0; i < +process.argv[2]; i++) cluster.fork();
else require('./server.js');
"""
# TOTAL connections, 50 at a time, from addresses of their own; prints {answer: count}.
CONNECT = """const http = require('http');
const [, , port, total] = process.argv.map(Number);
const found = {};
let begun = 0, open = 50;
function next() {
  if (begun === total) { if (--open === 0) console.log(JSON.stringify(found)); return; }
  const n = begun++;
  http.get({ port, host: '127.0.0.1', agent: false, localAddress: `127.${1 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}` },
    (r) => { let body = ''; r.on('data', (d) => body += d); r.on('end', () => {
      found[body.trim()] = (found[body.trim()] || 0) + 1; next(); }); }).on('error', next);
}
for (let i = 0; i < 50; i++) next();
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answer(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as reply:
            return reply.read().decode().split()[0]
    except OSError:
        return None


def await_answers(port, workers, but=()):
    """Until so many processes, none of `but`, have answered."""
    seen, end = set(), time.monotonic() + 60
    while len(seen) < workers:
        if time.monotonic() > end:
            raise RuntimeError(f"{len(seen)} of {workers} workers answer on port {port}")
        if (pid := answer(port)) and pid not in but:
            seen.add(pid)


def wrk(port, seconds, keep):
    head = [] if keep else ["-H", "Connection: close"]
    out = subprocess.run(["wrk", "-t1", "-c32", f"-d{seconds}s", *head, f"http://127.0.0.1:{port}/"],
                         capture_output=True, text=True, check=True).stdout
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


class NodeCluster:
    """Node's own primary, as a program of one's own would be."""

    def __init__(self, base, port, workers):
        self.child = subprocess.Popen(["node", str(base / "primary.js"), str(workers)],
                                      env={**os.environ, "PORT": str(port)}, stdin=subprocess.DEVNULL)

    def kill(self):
        self.child.send_signal(signal.SIGKILL)  # its workers end when their channel does
        self.child.wait()


class Bench:
    def __init__(self, options, base):
        self.options, self.base, self.table = options, base, Table()
        self.tend = TendManager("tend", options.tend, base, "")
        self.pm2 = Pm2Manager("pm2", options.pm2, base, "")
        for name, text in (("server.js", SERVER), ("express.js", EXPRESS), ("primary.js", PRIMARY),
                           ("connect.js", CONNECT)):
            (base / name).write_text(text)
        os.symlink(Path(options.modules) / "node_modules", base / "node_modules")

    def start(self, manager: Manager, script, count, port, name="api", **more):
        manager.env["PORT"] = str(port)
        words = [w for k, v in more.items() for w in (f"--{k}", v)]
        manager.run("start", self.base / script, "--name", name, "-i", count, *words)
        # One client address sees one worker only when they are sticky.
        await_answers(port, 1 if more.get("balance") == "sticky" else count)

    def speed(self):
        runs, seconds = (2, 1) if self.options.quick else (7, 3)
        ports = {who: free_port() for who in ("tend", "pm2", "node")}
        self.start(self.tend, "server.js", 2, ports["tend"])
        self.start(self.pm2, "server.js", 2, ports["pm2"])
        own = NodeCluster(self.base, ports["node"], 2)
        await_answers(ports["node"], 2)
        try:
            for keep, what, times in ((False, "new connections/s, 2 workers", (1.5, 1.3)),
                                      (True, "keep-alive requests/s, 2 workers", (1, 1))):
                found = {who: [] for who in ports}
                turns = list(ports.items())
                for _ in range(runs):
                    for who, port in turns:
                        found[who].append(wrk(port, seconds, keep))
                    turns.append(turns.pop(0))  # a place in the turn is worth some per cent
                middle = {who: statistics.median(values) for who, values in found.items()}
                self.table.ratio(what, "", middle["tend"], middle["pm2"], times[0], better="more")
                self.table.ratio(f"{what}, against Node's own cluster", "", middle["tend"], middle["node"], times[1],
                                 better="more")
        finally:
            own.kill()
            self.tend.kill()
            self.pm2.kill()

    def spread(self):
        total = 1000 if self.options.quick else 10000
        for policy in POLICIES:
            port = free_port()
            self.tend.fresh()
            self.start(self.tend, "server.js", 4, port, balance=policy)
            out = subprocess.run(["node", str(self.base / "connect.js"), str(port), str(total)], capture_output=True,
                                 text=True, check=True).stdout
            counts = sorted(json.loads(out).values())
            counts = [0] * (4 - len(counts)) + counts
            furthest = max(abs(n / (sum(counts) / 4) - 1) for n in counts) * 100
            what = f"{policy}: furthest from even of {sum(counts)} connections ({'/'.join(map(str, counts))})"
            if policy in ("reuseport", "rr", "least"):
                self.table.bound(what, "%", furthest, None, 20)
            else:
                self.table.plain(what, "%", furthest)
            self.tend.kill()

    def reloads(self):
        tend_reloads, pm2_reloads = (5, 1) if self.options.quick else (100, 5)
        for mode in ("keep", "close"):
            failed = {}
            for manager, count in ((self.tend, tend_reloads), (self.pm2, pm2_reloads)):
                port = free_port()
                manager.fresh()
                self.start(manager, "express.js", 4, port)
                load = subprocess.Popen(["node", str(LOAD), f"http://127.0.0.1:{port}", "20", "100000", mode],
                                        stdout=subprocess.PIPE, text=True)
                time.sleep(1)
                for _ in range(count):
                    manager.run("reload", "api")
                load.send_signal(signal.SIGTERM)
                found = json.loads(load.communicate(timeout=60)[0])
                failed[manager.name] = found
                manager.kill()
            ours, theirs = failed["tend"], failed["pm2"]
            self.table.bound(f"failed of {ours['sent']} {mode} requests in {tend_reloads} reloads "
                             f"(PM2: of {theirs['sent']} in {pm2_reloads})", "", ours["failed"], theirs["failed"], 0)

    def crash(self):
        spare = self.time_to_next(self.tend, spare="1")
        tend, pm2 = self.time_to_next(self.tend), self.time_to_next(self.pm2)
        what = "kill -9 of the only worker to an answer of the next, express"
        self.table.plain(what, "ms", tend, pm2)
        self.table.bound(what + ", with a spare", "ms", spare, pm2, 10)

    def time_to_next(self, manager, **more):
        port, times = free_port(), []
        manager.fresh()
        self.start(manager, "express.js", 1, port, **more)
        for _ in range(3 if self.options.quick else 10):
            time.sleep(1.2)  # a longer life than min_uptime: no unstable restart
            old = answer(port)
            os.kill(int(old), signal.SIGKILL)
            began = time.monotonic()
            while answer(port) in (None, old):
                pass
            times.append((time.monotonic() - began) * 1e3)
        manager.kill()
        return statistics.median(times)

    def memory(self):
        found = {}
        for manager in (self.tend, self.pm2):
            manager.fresh()
            for name in ("one", "two"):
                self.start(manager, "server.js", 4, free_port(), name=name)
            time.sleep(2)
            found[manager.name] = manager.daemon_pss()
            manager.kill()
        self.table.plain("memory of the manager, 2 apps of 4 workers", "MiB PSS", found["tend"], found["pm2"])


PARTS = ("speed", "spread", "reloads", "crash", "memory")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--tend", default=str(ROOT / "build/release/cmd/tend"))
    parser.add_argument("--pm2", default="")
    parser.add_argument("--output", default="")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("cluster_bench.py: wrk is not installed; apt-get install wrk")
    base = Path(tempfile.mkdtemp(prefix="tend-bench-"))
    options.pm2 = str(Path(options.pm2).absolute() if options.pm2 else install_pm2(base / "npm"))
    options.modules = str(base / "modules")
    subprocess.run(["npm", "install", "--prefix", options.modules, "--no-audit", "--no-fund", "--loglevel=error",
                    "express@5"], check=True, stdin=subprocess.DEVNULL)
    bench = Bench(options, base)
    try:
        for part in PARTS:
            if not options.only or part in options.only.split(","):
                getattr(bench, part)()
    finally:
        bench.tend.kill()
        bench.pm2.kill()
        shutil.rmtree(base, ignore_errors=True)
    print("\n" + bench.table.text())
    if options.output:
        Path(options.output).write_text(json.dumps(bench.table.rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
