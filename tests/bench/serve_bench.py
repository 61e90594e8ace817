#!/usr/bin/env python3
"""Measures `tend serve` against nginx on this machine, in alternating rounds; prints a ratio table of the medians.

    python3 tests/bench/serve_bench.py [--tend build/release/cmd/tend] [--rounds 5] [--seconds 4] [--output FILE]

wrk asks with keep-alive over the loopback for a file of 1 KB and one of 1 MB. nginx has a configuration of its own:
sendfile, tcp_nopush, no access log; once as it comes, which opens the file for each request, once with open_file_cache,
and once without tcp_nopush: then it sends the head before the file, as libmicrohttpd always does. Against one process
stands one worker, against -i 2 worker_processes auto. CPU is what the server's processes used per request: the figure
that other work on the machine disturbs least. Nothing is asserted.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench import Table

ROOT = Path(__file__).resolve().parents[2]
SIZES = {"1 KB": 1024, "1 MB": 1 << 20}
CONNECTIONS = 32
TICK = os.sysconf("SC_CLK_TCK")

CONFIG = """
worker_processes {workers}; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; user {user};
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush {nopush}; keepalive_requests 100000000; default_type application/octet-stream;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  {cache}
  server {{ listen 127.0.0.1:{port} reuseport; root {folder}/site; etag on; }}
}}
"""


class ServeTable(Table):
    """bench.py's, with nginx as the rival."""

    def _cells(self, row):
        return super()._cells({**row, "pm2": row["nginx"]})

    def text(self):
        return super().text().replace("  PM2 ", "nginx ", 1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu(pids):
    """Seconds of CPU that these processes have used."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICK


def await_port(port):
    end = time.monotonic() + 10
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        if time.monotonic() > end:
            raise RuntimeError(f"nothing listens on {port}")
        time.sleep(0.02)


class Nginx:
    def __init__(self, folder, workers, *, cache=False, nopush=True):
        self.port = free_port()
        self.folder = folder / f"nginx-{workers}-{self.port}"
        self.folder.mkdir()
        (self.folder / "site").symlink_to(folder / "site")
        config = self.folder / "nginx.conf"
        config.write_text(CONFIG.format(
            workers=workers, folder=self.folder, port=self.port, user="root" if os.geteuid() == 0 else "nobody",
            nopush="on" if nopush else "off",
            cache="open_file_cache max=1000 inactive=20s; open_file_cache_valid 1s;" if cache else ""))
        self.process = subprocess.Popen(["nginx", "-c", config], stderr=subprocess.DEVNULL)
        await_port(self.port)

    def pids(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def close(self):
        self.process.terminate()
        self.process.wait()


class Tend:
    def __init__(self, folder, program, instances):
        self.port = free_port()
        self.program = program
        self.env = {**os.environ, "TEND_HOME": str(folder / f"home-{instances}")}
        self.run("serve", folder / "site", self.port, "--host", "127.0.0.1", "--name", "site", "-i", instances)

    def run(self, *words):
        return subprocess.run([self.program, *map(str, words)], env=self.env, check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def pids(self):
        return [app["pid"] for app in json.loads(self.run("jlist"))]

    def close(self):
        self.run("kill")


def measure(server, name, seconds):
    """(requests per second, microseconds of CPU per request)"""
    pids = server.pids()
    before = cpu(pids)
    out = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"http://127.0.0.1:{server.port}/{name}"],
                         check=True, text=True, stdout=subprocess.PIPE).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise RuntimeError(out)
    requests = int(re.search(r"(\d+) requests in", out)[1])
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), (cpu(pids) - before) / requests * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tend", default=str(ROOT / "build/release/cmd/tend"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--output")
    options = parser.parse_args()
    for program in ("nginx", "wrk"):
        if not shutil.which(program):
            parser.error(f"no {program} in PATH")

    table = ServeTable()
    with tempfile.TemporaryDirectory(prefix="tend-serve-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "site").mkdir()
        for label, size in SIZES.items():
            (folder / "site" / label.replace(" ", "")).write_bytes(os.urandom(size))
        for processes, workers in ((1, 1), (2, "auto")):
            with contextlib.ExitStack() as stack:
                servers = {"tend": Tend(folder, options.tend, processes), "nginx": Nginx(folder, workers),
                           "cache": Nginx(folder, workers, cache=True), "push": Nginx(folder, workers, nopush=False)}
                for server in servers.values():
                    stack.callback(server.close)
                for label in SIZES:
                    found = {key: [] for key in servers}
                    for number in range(options.rounds):
                        order = list(servers) if number % 2 == 0 else list(reversed(servers))
                        for key in order:
                            found[key].append(measure(servers[key], label.replace(" ", ""), options.seconds))
                    rate, cost = ({k: statistics.median(m[n] for m in v) for k, v in found.items()} for n in (0, 1))
                    who = f"{label}, {processes} process{'es' if processes > 1 else ''}"
                    table.ratio(f"{who}", "requests/s", rate["tend"], rate["nginx"], 1, "more", "nginx")
                    table.ratio(f"{who}, open_file_cache", "requests/s", rate["tend"], rate["cache"], 1, "more", "nginx")
                    table.ratio(f"{who}, without tcp_nopush", "requests/s", rate["tend"], rate["push"], 1, "more",
                                "nginx")
                    table.ratio(f"{who}: CPU a request", "µs", cost["tend"], cost["nginx"], 1, "less", "nginx")
                    table.ratio(f"{who}, open_file_cache: CPU a request", "µs", cost["tend"], cost["cache"], 1, "less",
                                "nginx")
    print(table.text())
    if options.output:
        Path(options.output).write_text(json.dumps(table.rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
