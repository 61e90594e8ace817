#!/usr/bin/env python3
"""How often, and how soon, the autopsy names the function and the line that block a Node. Nothing is asserted.

    python3 tests/bench/autopsy_trials.py [--trials 20] [--ms 150] [--tend PATH] [--node PATH]... [--load N]

Each trial starts a Node of its own, lets it hang, and runs the helper with the time that a hang verdict under 1 s gives
it. Right: function, file and line of the fixture are among the frames (of a loop that calls
into Node the innermost may be Node's own). Time: from the helper's start to its end, as the caller
sees it. --load runs N busy processes beside.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
from autopsy_probe import BLOCKED, Hung, autopsy, line_of  # noqa: E402

CASES = (("spin", "spin", "while (true)"), ("regex", "backtrack", "regular expression"),
         ("calls", "calls", "loop of statSync"), ("nested", "inner", "loop 3,000 calls deep"))
MODULES = 3000  # of the large app


def large_app(folder):
    """An app of thousands of scripts, each with a source map: the debugger tells of all of them before it pauses."""
    comment = "//# sourceMappingURL=data:application/json;base64," + "A" * 8000 + "\n"
    for number in range(MODULES):
        (folder / f"m{number}.js").write_text(f"exports.f = () => {number};\n{comment}")
    main = folder / "main.js"
    main.write_text(f"for (let i = 0; i < {MODULES}; i++) require('./m' + i);\n"
                    "function spin() { for (;;); }\nrequire('fs').writeSync(1, 'ready\\n');\nspin();\n")
    return main


def trial(program, ms, hung, function, file, line):
    with hung as app:
        report, _, took, _ = autopsy(program, app.pid, ms)
        frames = (report or {}).get("frames", [])
        right = (function, str(file), line) in [(one["function"], one["file"], one["line"]) for one in frames]
        return right, took * 1000, "" if right else (report or {}).get("note", str(frames[:1]))


def show(title, results):
    times = [took for _, took, _ in results]
    right = sum(ok for ok, _, _ in results)
    print(f"{title:44} {right:3} of {len(results)}   median {statistics.median(times):4.0f} ms   "
          f"max {max(times):4.0f} ms", flush=True)
    for note in sorted({note for _, _, note in results if note}):
        print(f"    {note}")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--trials", type=int, default=20)
    options.add_argument("--ms", type=int, default=150)
    options.add_argument("--tend", default=str(HERE.parents[1] / "build/release/cmd/tend"))
    options.add_argument("--node", action="append")
    options.add_argument("--load", type=int, default=0)
    chosen = options.parse_args()
    busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(chosen.load)]
    try:
        with tempfile.TemporaryDirectory(prefix="tend-trials-") as folder:
            large = large_app(Path(folder))
            for node in chosen.node or ["node"]:
                version = subprocess.run([node, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
                for way, function, title in CASES:
                    show(f"{version} {title}", [
                        trial(chosen.tend, chosen.ms, Hung.node(way, node=node), function, BLOCKED, line_of(way))
                        for _ in range(chosen.trials)])
                preload = str(BLOCKED.with_name("preload.js"))
                show(f"{version} loop in an app of {MODULES} scripts", [
                    trial(chosen.tend, chosen.ms, Hung([node, "-r", preload, str(large)]), "spin", large, 2)
                    for _ in range(max(1, chosen.trials // 4))])
    finally:
        for one in busy:
            one.kill()
            one.wait()


if __name__ == "__main__":
    main()
