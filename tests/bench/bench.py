#!/usr/bin/env python3
"""Measures tend against PM2 on this machine, one after the other; prints a ratio table and writes it as JSON.

    python3 tests/bench/bench.py [--quick] [--only list,logs] [--pm2 PATH] [--tend PATH] [--output FILE]

PM2 is installed from npm outside the checkout. Nothing is asserted: a figure below its target is marked `short`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from managers import Pm2Manager, TendManager, install_pm2

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


class Table:
    """Rows of figures; `better` says which side a ratio favours."""

    def __init__(self):
        self.rows = []

    def ratio(self, what, unit, tend, pm2, target, better="less", rival="pm2"):
        """target: how many times better tend must be."""
        ratio = None
        if tend and pm2:
            ratio = pm2 / tend if better == "less" else tend / pm2
        self._add(what, unit, tend, pm2, ratio, f"≥ {target:g}×", ratio is None or ratio >= target, rival)

    def bound(self, what, unit, tend, pm2, most):
        ratio = pm2 / tend if tend and pm2 else None
        self._add(what, unit, tend, pm2, ratio, f"≤ {most:g} {unit}".strip(), tend <= most, "pm2")

    def plain(self, what, unit, tend, pm2=None):
        self._add(what, unit, tend, pm2, pm2 / tend if tend and pm2 else None, "", None, "pm2")

    def _add(self, what, unit, tend, other, ratio, target, good, rival):
        row = {"what": what, "unit": unit, "tend": tend, rival: other, "ratio": ratio, "target": target,
               "verdict": "" if good is None else "ok" if good else "short"}
        self.rows.append(row)
        print("  " + " | ".join(self._cells(row)), flush=True)

    @staticmethod
    def _number(value):
        if value is None:
            return "-"
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"

    def _cells(self, row):
        other = row.get("pm2", row.get("cat"))
        mark = " (cat)" if "cat" in row else ""
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.1f}×" if row["ratio"] < 100 else f"{row['ratio']:.0f}×"
        return [f"{row['what']} [{row['unit']}]" if row["unit"] else row["what"], self._number(row["tend"]),
                self._number(other) + mark, ratio, row["target"], row["verdict"]]

    def text(self):
        cells = [["what", "tend", "PM2", "ratio", "target", ""]] + [self._cells(r) for r in self.rows]
        width = [max(len(line[n]) for line in cells) for n in range(6)]
        lines = ["| " + " | ".join(c.ljust(w) if n == 0 else c.rjust(w) for n, (c, w) in enumerate(zip(line, width)))
                 + " |" for line in cells]
        lines.insert(1, "|" + "|".join("-" * (w + 1) + ("-" if n == 0 else ":") for n, w in enumerate(width)) + "|")
        return "\n".join(lines)


def sleepers(count, prefix="s"):
    sleep = shutil.which("sleep")
    return [{"name": f"{prefix}{n}", "script": sleep, "args": "100000", "interpreter": "none"} for n in range(count)]


def stamps(path):
    return [int(x) for x in path.read_text().split("\n") if x] if path.exists() else []


def await_true(question, timeout=120, every=0.0002):
    end = time.monotonic() + timeout
    while not question():
        if time.monotonic() > end:
            raise RuntimeError("the awaited never came")
        time.sleep(every)


def median(values):
    return statistics.median(values)


class Bench:
    def __init__(self, options, base):
        self.options = options
        self.quick = options.quick
        self.table = Table()
        self.base = base
        self.tools = base / "tools"
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", self.tools, HERE / "tools.c"], check=True)
        self.tend = TendManager("tend", options.tend, base, self.tools)
        self.pm2 = Pm2Manager("pm2", options.pm2, base, self.tools)
        self.both = (self.tend, self.pm2)

    def each(self, measure):
        """What `measure` finds for either manager, in a fresh home, with nothing left afterwards."""
        found = []
        for manager in self.both:
            manager.fresh()
            try:
                found.append(measure(manager))
            finally:
                manager.kill()
        return found

    def first_app(self, name, stamp, **more):
        return {"name": name, "script": str(self.tools), "args": ["first", str(stamp)], "interpreter": "none",
                "max_restarts": 10000, **more}

    # The figures ---------------------------------------------------------------------------------------------------

    def cold(self):
        def measure(manager):
            times = []
            for n in range(2 if self.quick else 7):
                manager.fresh()
                stamp = self.base / f"cold-{manager.name}-{n}"
                path = manager.file_of([self.first_app("first", stamp)])
                began = time.monotonic_ns()
                try:
                    manager.run("start", path)
                    await_true(lambda stamp=stamp: stamps(stamp))
                    times.append((stamps(stamp)[0] - began) / 1e6)
                finally:
                    manager.kill()
            return median(times)
        tend, pm2 = self.each(measure)
        self.table.ratio("cold start: empty home until the app runs", "ms", tend, pm2, 20)

    def many(self):
        """list, memory, start of 100, idleness: one session with 10, then 110 apps."""
        lists = 5 if self.quick else 25
        idle = 5 if self.quick else 30

        def measure(manager):
            found = {}
            manager.run("start", manager.file_of(sleepers(10, "ten")))
            for count in (10, 110):
                if count == 110:
                    path = manager.file_of(sleepers(100))
                    runs = []
                    for n in range(1 if self.quick else 3):
                        if n:
                            manager.run("delete", path)
                        runs.append(manager.timed("start", path)[0])
                    found["start"] = median(runs)
                time.sleep(3)  # what the start left to do is not the figure
                found[f"pss{count}"] = manager.daemon_pss()
                samples = [manager.timed("list") for _ in range(lists)]
                found[f"list{count}"] = median([s[0] for s in samples]) * 1000
                found[f"peak{count}"] = max(s[1] for s in samples)
            daemons = manager.daemons()
            time.sleep(5)
            before = manager.work_of(daemons)
            time.sleep(idle)
            after = manager.work_of(daemons)
            found["cpu"] = (after[0] - before[0]) / idle * 100
            found["wakes"] = (after[1] - before[1]) / idle * 30
            return found
        tend, pm2 = self.each(measure)
        for count in (10, 110):
            self.table.ratio(f"list, {count} apps", "ms", tend[f"list{count}"], pm2[f"list{count}"], 60)
            self.table.bound(f"list, {count} apps: peak memory", "MiB", tend[f"peak{count}"], pm2[f"peak{count}"], 8)
        for count, target in ((10, 12), (110, 20)):
            self.table.ratio(f"daemon memory (PSS), {count} apps", "MiB", tend[f"pss{count}"], pm2[f"pss{count}"], target)
        self.table.ratio("start 100 apps from one file", "s", tend["start"], pm2["start"], 7)
        self.table.bound("idle with 110 apps: CPU", "%", tend["cpu"], pm2["cpu"], 0.1)
        self.table.bound("idle with 110 apps: wake-ups in 30 s", "", tend["wakes"], pm2["wakes"], 0)

    def crash(self):
        def measure(manager):
            stamp = self.base / f"crash-{manager.name}"
            manager.run("start", manager.file_of([self.first_app("first", stamp)]))
            await_true(lambda: stamps(stamp))
            times = []
            for _ in range(5 if self.quick else 20):
                count, pid = len(stamps(stamp)), manager.pid_of("first")
                began = time.monotonic_ns()
                os.kill(pid, 9)
                await_true(lambda count=count: len(stamps(stamp)) > count)
                times.append((stamps(stamp)[-1] - began) / 1e6)
                await_true(lambda pid=pid: manager.pid_of("first") not in (0, pid))
            return median(times)
        tend, pm2 = self.each(measure)
        self.table.ratio("kill -9 until the successor's first instruction", "ms", tend, pm2, 7)
        bare = subprocess.run([self.tools, "floor", self.base / "floor", "20"], check=True, capture_output=True, text=True)
        floor = median([float(line) for line in bare.stdout.split()])
        self.table.plain("the same by a bare waitpid, fork and exec, no manager: the floor", "ms", floor, pm2)

    def restart(self):
        def measure(manager):
            stamp = self.base / f"restart-{manager.name}"
            manager.run("start", manager.file_of([self.first_app("first", stamp)]))
            await_true(lambda: stamps(stamp))
            return median([manager.timed("restart", "first")[0] * 1000 for _ in range(5 if self.quick else 20)])
        tend, pm2 = self.each(measure)
        self.table.ratio("restart of one app", "ms", tend, pm2, 20)

    def thousands(self):
        for count in (200,) if self.quick else (1000, 5000):
            manager = self.tend
            manager.fresh()
            try:
                manager.run("jlist")
                empty = manager.daemon_pss()
                path = manager.file_of(sleepers(count))
                start = manager.timed("start", path)[0]
                online = sum(r["pm2_env"]["status"] == "online" for r in manager.jlist())
                if online != count:
                    raise RuntimeError(f"{online} of {count} apps are online")
                memory = (manager.daemon_pss() - empty) * 1024 / count
                listing = median([manager.timed("list")[0] for _ in range(15)]) * 1000
                stop = manager.timed("stop", "all")[0]
                self.table.plain(f"{count} apps: start", "s", start)
                if count == 1000:
                    self.table.bound(f"{count} apps: list", "ms", listing, None, 15)
                else:
                    self.table.plain(f"{count} apps: list", "ms", listing)
                self.table.plain(f"{count} apps: stop", "s", stop)
                self.table.plain(f"{count} apps: daemon memory per app", "KiB", memory)
            finally:
                manager.kill()

    def _log_rate(self, manager, size, **more):
        """MB/s from the app's first instruction until its last line is in the log."""
        manager.fresh()
        stamp = self.base / f"spew-{time.monotonic_ns()}"
        log = self.base / f"{stamp.name}.log"
        app = {"name": "spew", "script": str(self.tools), "args": ["spew", str(size), str(stamp)],
               "interpreter": "none", "out_file": str(log), "error_file": "/dev/null", "merge_logs": True, **more}

        def arrived():
            if not log.exists() or log.stat().st_size < size:
                return False
            with open(log, "rb") as f:
                f.seek(-5, os.SEEK_END)
                return b"END" in f.read()
        try:
            manager.run("start", manager.file_of([app]))
            await_true(arrived, 600, 0.001)
            end = time.monotonic_ns()
            return size / 1e6 / ((end - stamps(stamp)[0]) / 1e9)
        finally:
            manager.kill()
            log.unlink(missing_ok=True)

    def _cat_rate(self, size):
        log = self.base / "cat.log"
        began = time.monotonic_ns()
        subprocess.run(["sh", "-c", '"$0" lines "$1" | cat > "$2"', self.tools, str(size), log], check=True)
        rate = size / 1e6 / ((time.monotonic_ns() - began) / 1e9)
        log.unlink()
        return rate

    def logs(self):
        size = (20 if self.quick else 200) * 1000 * 1000
        runs = 1 if self.quick else 3
        raw = {"tend": [], "pm2": [], "cat": []}
        dated = {"tend": [], "pm2": []}
        for _ in range(runs):  # in turn, so that the machine's mood meets all alike
            raw["cat"].append(self._cat_rate(size))
            for manager in self.both:
                raw[manager.name].append(self._log_rate(manager, size))
                dated[manager.name].append(self._log_rate(manager, size, time=True))
        megabytes = f"{size // 1000000} MB of lines to a log"
        self.table.ratio(f"{megabytes}, raw", "MB/s", median(raw["tend"]), median(raw["pm2"]), 3, "more")
        self.table.ratio(f"{megabytes}, raw, against `app | cat > file`", "MB/s", median(raw["tend"]),
                         median(raw["cat"]), 0.9, "more", rival="cat")
        self.table.ratio(f"{megabytes}, with time", "MB/s", median(dated["tend"]), median(dated["pm2"]), 2, "more")


TOPICS = ("cold", "many", "crash", "restart", "logs", "thousands")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer runs and smaller numbers")
    parser.add_argument("--only", default="", help=f"comma list of {', '.join(TOPICS)}")
    parser.add_argument("--tend", default=str(ROOT / "build/release/cmd/tend"))
    parser.add_argument("--pm2", default="", help="an installed pm2 7.0.4 (default: fetched into --pm2-folder)")
    parser.add_argument("--pm2-folder", default="/tmp/tend-bench-pm2")
    parser.add_argument("--output", default=str(ROOT / "build/bench.json"))
    options = parser.parse_args()
    options.pm2 = options.pm2 or str(install_pm2(options.pm2_folder))
    topics = options.only.split(",") if options.only else TOPICS
    if set(topics) - set(TOPICS):
        parser.error(f"--only knows {', '.join(TOPICS)}")

    failed = []
    base = Path(tempfile.mkdtemp(prefix="tend-bench-"))
    try:
        bench = Bench(options, base)
        for topic in topics:
            print(topic, flush=True)
            try:
                getattr(bench, topic)()
            except (RuntimeError, OSError, ValueError, subprocess.SubprocessError) as error:
                failed.append(topic)
                print(f"  {topic} failed: {error}", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    print("\n" + bench.table.text())
    Path(options.output).parent.mkdir(parents=True, exist_ok=True)
    with open(options.output, "w", encoding="utf-8") as out:
        json.dump({"machine": {"cpus": os.cpu_count(), "kernel": os.uname().release}, "quick": options.quick,
                   "failed": failed, "rows": bench.table.rows}, out, indent=1, ensure_ascii=False)
    print(f"\nwritten to {options.output}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
