#!/usr/bin/env python3
"""The npm client against PM2's module: one program that connects, lists N apps and ends, run many times on each.

    python3 tests/bench/npm_bench.py [--apps 100] [--runs 20] [--pm2 FOLDER] [--tend PATH] [--output FILE]

PM2 is installed from npm outside the checkout. Nothing is asserted.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from managers import install_pm2

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
const begin = process.hrtime.bigint();
const ms = () => Number(process.hrtime.bigint() - begin) / 1e6;
const pm2 = require('pm2');
const loaded = ms();
pm2.connect((error) => {
  if (error) throw error;
  const connected = ms();
  pm2.list((failed, list) => {
    if (failed) throw failed;
    const listed = ms();
    const again = ms();
    pm2.list(() => {
      console.log(JSON.stringify({ apps: list.length, 'load the module': loaded, 'connect and list': listed - loaded,
        'list again': ms() - again, 'all three': listed, rss: process.memoryUsage().rss / 1048576 }));
      pm2.disconnect();
    });
  });
});
"""


def measure(folder, package, command, apps, runs, env):
    (folder / "node_modules").mkdir(parents=True)
    (folder / "node_modules/pm2").symlink_to(package)
    (folder / "program.js").write_text(PROGRAM)
    (folder / "apps.json").write_text(json.dumps(
        {"apps": [{"name": f"app-{i}", "script": "/bin/sleep", "args": "100000", "interpreter": "none"} for i in range(apps)]}))
    env = {**{k: v for k, v in os.environ.items() if not k.startswith(("PM2_", "TEND_", "NODE_", "npm_"))},
           "PM2_HOME": str(folder / "home"), **env}

    def run(*words):
        return subprocess.run(words, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    samples = []
    try:
        run(*command, "start", "apps.json")
        for turn in range(runs + 1):
            begin = time.monotonic()
            found = json.loads(run("node", "program.js").stdout.splitlines()[-1])
            found["whole program"] = (time.monotonic() - begin) * 1000
            if found.pop("apps") != apps:
                raise RuntimeError("not all apps were listed")
            if turn > 0:  # the first one warms the disk's cache
                samples.append(found)
    finally:
        run(*command, "kill")
    return {key: statistics.median(s[key] for s in samples) for key in samples[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apps", type=int, default=100)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--pm2", default=str(Path(tempfile.gettempdir()) / "tend-bench-pm2"))
    parser.add_argument("--tend", default=str(ROOT / "build/release/cmd/tend"))
    parser.add_argument("--output")
    options = parser.parse_args()
    install_pm2(options.pm2)
    base = Path(tempfile.mkdtemp(prefix="tend-npm-bench-"))
    try:
        (base / "bin").mkdir()
        (base / "bin/pm2").symlink_to(Path(options.tend).resolve())
        ours = measure(base / "tend", ROOT / "packaging/npm/pm2", [base / "bin/pm2"], options.apps, options.runs,
                       {"TEND_PROGRAM": str(Path(options.tend).resolve())})
        theirs = measure(base / "pm2", Path(options.pm2) / "node_modules/pm2", [Path(options.pm2) / "node_modules/.bin/pm2"],
                         options.apps, options.runs, {})
    finally:
        shutil.rmtree(base, ignore_errors=True)
    print(f"{options.apps} apps, median of {options.runs} programs" + " " * 5 + f"{'tend':>10}{'pm2':>10}{'ratio':>8}")
    for key, value in ours.items():
        unit = "MiB" if key == "rss" else "ms"
        print(f"  {key + ', ' + unit:34}{value:10.1f}{theirs[key]:10.1f}{theirs[key] / value:8.1f}")
    if options.output:
        Path(options.output).write_text(json.dumps({"apps": options.apps, "runs": options.runs, "tend": ours, "pm2": theirs}, indent=1))


if __name__ == "__main__":
    main()
