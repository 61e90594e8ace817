#!/usr/bin/env python3
"""What 500 http probes every 10 s on loopback cost, in percent of a core.

    python3 tests/bench/probe_bench.py --helper build/release/cmd/tend-probe [--seconds 30] [--burst]
    python3 tests/bench/probe_bench.py --tend build/release/cmd/tend [--seconds 30]

With --helper the helper alone is measured, fed over its socket; with --tend a daemon with that many idle apps, each
with a probe, and its helper; what the same apps cost without probes is told too. Nothing is asserted; the aim is below
2 %.
"""

import argparse
import json
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SERVER = """
const server = require('http').createServer((q, a) => a.end('well'));
server.listen({port: 0, host: '127.0.0.1', backlog: 4096}, () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();
"""


def crc32c_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


TABLE = crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def pack(value):
    """MessagePack, as much of it as a request needs."""
    if isinstance(value, str):
        data = value.encode()
        return b"\xd9" + bytes([len(data)]) + data
    if isinstance(value, int):
        return b"\xd2" + struct.pack(">i", value)
    if isinstance(value, list):
        return bytes([0x90 | len(value)]) + b"".join(map(pack, value))
    return bytes([0x80 | len(value)]) + b"".join(pack(k) + pack(v) for k, v in value.items())


def frame(kind, stream, sequence, payload):
    head = struct.pack("<4sBBHIIQ", b"TND1", 1, kind, 0, stream, len(payload), sequence)
    crc = crc32c(head + bytes(8) + payload)
    return head + struct.pack("<II", crc, 0) + payload


def cpu_ns(pid):
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total


def percent(pid, since, began):
    return (cpu_ns(pid) - since) / (time.monotonic() - began) / 1e7


class Replies:
    def __init__(self):
        self.buffer = b""
        self.good = self.bad = 0

    def feed(self, data):
        self.buffer += data
        while len(self.buffer) >= 32:
            size = 32 + struct.unpack_from("<I", self.buffer, 12)[0]
            if len(self.buffer) < size:
                return
            if b"\xa2ok\xc3" in self.buffer[32:size]:
                self.good += 1
            else:
                self.bad += 1
            self.buffer = self.buffer[size:]


def measure_helper(options, url):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        helper = subprocess.Popen(["/bin/sh", "-c", f'exec "$0" 3<&{theirs.fileno()}', options.helper],
                                  pass_fds=[theirs.fileno()])
        theirs.close()
        replies = Replies()
        request = pack({"kind": "http", "url": url, "timeout_ms": 2000, "status": [[200, 399]], "match": ""})
        rounds, sequence = max(1, round(options.seconds / options.interval)), 0
        began = since = None
        for turn in range(rounds + 1):  # the first warms it up
            if turn == 1:
                began, since = time.monotonic(), cpu_ns(helper.pid)
            start = time.monotonic()
            sent = 0
            while (now := time.monotonic() - start) < options.interval:
                ticks = int(now / options.grid) + 1
                due = options.probes if options.burst else min(
                    options.probes, int(options.probes * ticks * options.grid / options.interval))
                while sent < due:
                    sent, sequence = sent + 1, sequence + 1
                    ours.sendall(frame(16, sent, sequence, request))
                wait = options.interval if sent == options.probes else ticks * options.grid
                if select.select([ours], [], [], max(0, min(wait, options.interval) - now))[0]:
                    data = ours.recv(1 << 16)
                    if not data:
                        sys.exit("the helper ended")
                    replies.feed(data)
        used = percent(helper.pid, since, began)
        print(f"helper: {used:.2f} % of a core ({options.probes} probes every {options.interval:g} s for "
              f"{rounds * options.interval:g} s, {'in one burst' if options.burst else f'spread by {options.grid * 1000:g} ms'}; "
              f"{replies.good} answered, {replies.bad} failed)")
        ours.close()
        helper.wait()


def children(pid):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
    return found


def measure_daemon(options, url):
    with tempfile.TemporaryDirectory() as home:
        env = dict(os.environ, TEND_HOME=home)

        def tend(*words):
            return subprocess.run([options.tend, *words], env=env, check=True, capture_output=True, text=True).stdout

        def measure(extra):
            app = {"name": "idle", "script": "sleep", "args": "1000000", "interpreter": "none",
                   "instances": options.probes, "exec_mode": "fork", **extra}
            file = os.path.join(home, "probe.json")
            Path(file).write_text(json.dumps({"apps": [app]}))
            tend("start", file)
            pid = json.loads(tend("ping", "--json"))["supervisor"]["pid"]
            time.sleep(options.interval)
            helpers = [c for c in children(pid) if b"tend: probe" in Path(f"/proc/{c}/cmdline").read_bytes()]
            watched = [pid, *helpers]
            began, since = time.monotonic(), [cpu_ns(p) for p in watched]
            time.sleep(options.seconds)
            used = [percent(p, s, began) for p, s in zip(watched, since)]
            tend("delete", "all")
            return used

        try:
            without = measure({})
            used = measure({"probe": url, "probe_interval": int(options.interval * 1000), "probe_action": "report"})
        finally:
            tend("kill")
    print(f"daemon: {used[0]:.2f} % of a core, {without[0]:.2f} % without probes")
    print(f"helper: {sum(used[1:]):.2f} % of a core" if len(used) > 1 else "helper: there is none")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--helper")
    parser.add_argument("--tend")
    parser.add_argument("--probes", type=int, default=500)
    parser.add_argument("--interval", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--grid", type=float, default=0.25, help="seconds between batches, as the daemon aligns them")
    parser.add_argument("--burst", action="store_true", help="all at once")
    options = parser.parse_args()
    if not options.helper and not options.tend:
        parser.error("--helper or --tend")
    server = subprocess.Popen(["node", "-e", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/health"
        if options.helper:
            measure_helper(options, url)
        if options.tend:
            measure_daemon(options, url)
    finally:
        server.stdin.close()
        server.wait()


if __name__ == "__main__":
    main()
