#!/usr/bin/env python3
"""About fifty apps, and for a while everything goes wrong at once; then all that they and tend wrote down must agree.

    python3 tests/integration/chaos.py [--seconds N] [--seed N] [--keeper] [--update]

TEND_CHAOS_SECONDS is --seconds where it is not given. A seed repeats the choices, not the moments at which they meet.
"""

import argparse
import contextlib
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter

from chaos_fleet import MOST_WORKERS, Disk, Fleet, Load, own_mounts
from harness import SCALE, Tend, alive, limit, wait_for

MEGABYTES, MEGABYTES_A_SECOND = 32, 0.4  # of the logs' disk: 8 loggers write about 200 KB a second


class Daemons:
    """Kills them at random moments, and looks at what they hold."""

    def __init__(self, tend, seed, keepers):
        self.tend, self.random, self.keepers = tend, random.Random(seed), keepers
        self.kills, self.keeper_kills = 0, 0
        self.quiet = threading.Lock()  # held: nobody kills
        self.over = threading.Event()
        self.memory = []  # (supervisor, keeper) KiB
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.failure = None

    def begin(self):
        self.thread.start()

    def end(self):
        self.over.set()
        if self.thread.is_alive():
            self.thread.join()

    @staticmethod
    def rss(pid):
        with open(f"/proc/{pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024

    def run(self):
        try:
            while not self.over.wait(self.random.choice((0.02, 0.1, 0.3, 1.0)) * self.random.random() * 2):
                with self.quiet:
                    self.kill_one()
        except AssertionError as error:
            self.failure = str(error)

    def kill_one(self):
        supervisor, keeper = self.tend.pids()
        self.memory.append((self.rss(supervisor), self.rss(keeper)))
        self.kills += 1
        if self.keepers and self.random.random() < 0.1:
            self.keeper_kills += 1
            os.kill(keeper, signal.SIGKILL)
            wait_for(lambda: self.tend.pids()[1] != keeper, what="another keeper")
        else:
            os.kill(supervisor, signal.SIGKILL)
            wait_for(lambda: not alive(supervisor), what="the supervisor's end")

    def kill_supervisor(self):
        supervisor, _ = self.tend.pids()
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: not alive(supervisor), what="the supervisor's end")

    def descriptors(self):
        """Of supervisor and keeper: what they hold -> how often."""
        found = []
        for pid in self.tend.pids():
            kinds = Counter()
            for fd in os.scandir(f"/proc/{pid}/fd"):
                with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                    # Numbers are of inodes and of processes that come and go.
                    kind = re.sub(r"\d+", "N", os.readlink(fd.path))
                    # Opened by an app's first word there, as that of a Python that is stopped while it starts.
                    kinds[kind] += not kind.endswith("-error.log")
            found.append(kinds)
        return found


class Chaos:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.tend = Tend()
        self.tend.supervisor_may_die = True
        self.disk = Disk(self.tend.home / "logs", MEGABYTES + int(options.seconds * MEGABYTES_A_SECOND)) if own_mounts() else None
        self.fleet = Fleet(self.tend)
        self.daemons = Daemons(self.tend, options.seed + 1, options.keeper)
        self.load = None
        self.wrong, self.done = [], {}

    # Asking ---------------------------------------------------------------------------------------------------------

    def ask(self, *words):
        """A command until it succeeds: one that met a killed daemon is said again, another failure is a fault."""
        end = time.monotonic() + limit(60)
        while time.monotonic() < end:
            kills = self.daemons.kills
            done = self.tend.run(*words)
            if done.returncode == 0:
                return
            # The connection that broke may be to a daemon that was killed a moment before.
            if self.daemons.kills == kills and not self.daemons.quiet.locked():
                self.wrong.append(f"tend {' '.join(map(str, words))}: exit {done.returncode}: {done.stderr.strip()}")
                return
            self.fleet.said_again(words)
        self.wrong.append(f"tend {' '.join(map(str, words))}: failed for a minute: {done.stderr.strip()}")

    def restart(self):
        for name in self.random.sample(self.fleet.calm, 3):
            self.ask("restart", name)
            self.fleet.settle(name)

    def reload(self):
        name = self.random.choice(["web", "web", *self.fleet.calm] if self.fleet.serves else self.fleet.calm)
        self.ask("reload", name)
        if name != "web":
            self.fleet.settle(name)

    def stop_start(self):
        name = self.random.choice(self.fleet.calm)
        self.ask("stop", name)
        wait_for(lambda: self.fleet.agrees(name, "stopped"), 60, f"agreement about {name}, stopped")
        self.fleet.fresh[name] = self.fleet.fresh.get(name, 0) + 1
        self.ask("start", name)
        self.fleet.settle(name)

    def scale(self):
        self.fleet.workers = self.random.randint(2, MOST_WORKERS)
        self.ask("scale", "web", self.fleet.workers)

    def crash(self):
        """An app that was killed by somebody else."""
        name = self.random.choice(self.fleet.sleepers + self.fleet.forkers)
        pid = self.fleet.records()[name]["pid"]
        if pid:
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not alive(pid), what=f"the end of {name}")
        self.fleet.settle(name)

    def look(self):
        for words in (("list",), ("jlist",), ("logs", "--nostream", "--lines", "20"), ("why", "all")):
            self.ask(*words)

    def full_disk(self):
        fleet = self.fleet
        with self.daemons.quiet:
            first = {name: fleet.next_line(name) for name in fleet.loggers}
            # What waits in the pipe while a successor comes up is of earlier lines.
            first = {name: max(0, n - 20_000) for name, n in first.items()}
            before = fleet.lost()
            self.disk.fill()
            wait_for(lambda: all(now > before[name] for name, now in fleet.lost().items()), 30, "lost bytes in each log")
            self.disk.free()
            sizes = {name: self.tend.out_log(name).stat().st_size for name in fleet.loggers}
            wait_for(lambda: all(self.tend.out_log(n).stat().st_size > size for n, size in sizes.items()), 30,
                     "logs that grow again")
            for name in fleet.loggers:
                fleet.windows.setdefault(name, []).append((first[name], fleet.next_line(name)))

    def update(self):
        with self.daemons.quiet:
            self.ask("update")

    # The course -----------------------------------------------------------------------------------------------------

    def at_rest(self):
        """Descriptors of a supervisor that has just taken over apps of which none comes and goes."""
        self.ask("stop", *self.fleet.restless)
        if self.fleet.serves:
            self.ask("scale", "web", self.fleet.workers)
        self.daemons.kill_supervisor()
        self.tend.ok("list")
        return self.daemons.descriptors()

    def run(self):
        fleet, daemons = self.fleet, self.daemons
        fleet.start()
        rest = self.at_rest()
        fleet.start_restless()
        self.load = Load(fleet.port, self.options.seconds * 3 + 600) if fleet.serves else None
        actions = [self.restart, self.reload, self.stop_start, self.crash, self.look]
        actions += [self.scale] * fleet.serves + [self.full_disk] * bool(self.disk) + [self.update] * self.options.update
        daemons.begin()
        end = time.monotonic() + self.options.seconds
        while time.monotonic() < end and not daemons.failure:
            action = self.random.choice(actions)
            began = time.monotonic()
            action()
            if self.options.verbose:
                print(f"{action.__name__}: {time.monotonic() - began:.2f} s", flush=True)
            self.done[action.__name__] = self.done.get(action.__name__, 0) + 1
        daemons.end()
        if daemons.failure:
            self.wrong.append(daemons.failure)
        self.check_load()
        self.check_counters()
        fleet.workers = 3
        wait_for_no_more(self.at_rest, rest, self.wrong)
        fleet.dropped = fleet.lost()
        self.ask("stop", *fleet.loggers)
        self.wrong += fleet.wrong_lines()
        self.check_memory()

    def check_load(self):
        """Supervisors that die, reloads and scaling cost no request: sockets and what waits at them are the keeper's."""
        for found in self.load.stop() if self.load else []:
            print(f"requests: {found}")
            if found["failed"] or not found["ok"]:
                self.wrong.append(f"requests: {found}")

    def check_counters(self):
        self.fleet.restless_agree()
        for name in self.fleet.calm:
            self.fleet.settle(name)
        if self.fleet.serves:
            workers = [r for r in self.fleet.rows() if r["name"] == "web"]
            if [r["status"] for r in workers] != ["online"] * self.fleet.workers:
                self.wrong.append(f"web: {len(workers)} processes, not {self.fleet.workers}")

    def check_memory(self):
        """Medians of the first and the last third. A supervisor is young in each sample, so its own growth is what its
        successors inherit: histories of ends, which have an upper bound per app and fill up on the way (1 MiB for fifty
        apps). The keeper's is all that it took, in whole pages and a heap that is trimmed now and then: 512 KiB."""
        samples = self.daemons.memory
        if SCALE > 1 or len(samples) < 90:
            return  # a sanitizer keeps what was freed; of a few supervisors of all ages no third means anything
        third = len(samples) // 3
        for n, (who, most) in enumerate((("supervisor", 1024), ("keeper", 512))):
            first, last = (statistics.median(s[n] for s in part) for part in (samples[:third], samples[-third:]))
            print(f"RSS of the {who}: first third {first:.0f} KiB, last third {last:.0f} KiB")
            if last - first > most:
                self.wrong.append(f"RSS of the {who}: {first:.0f} KiB, at the end {last:.0f} KiB")


def wait_for_no_more(measure, before, wrong):
    """A successor is not at once where its predecessor was: what it reads, it opens at the first question. Fewer are no
    fault: a keeper that took a lost one's place has none of the spawns that safe mode would repeat."""
    for _ in range(5):
        now = measure()
        if all(last <= first for first, last in zip(before, now)):
            return
        time.sleep(0.2)
    for who, first, last in zip(("supervisor", "keeper"), before, now):
        if last - first:
            wrong.append(f"descriptors of the {who}: {first.total()} at the start, {last.total()} at the end; more: "
                         f"{dict(last - first)}, fewer: {dict(first - last)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("TEND_CHAOS_SECONDS", "15")))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--keeper", action="store_true", help="kill keepers too")
    parser.add_argument("--update", action="store_true", help="replace the daemons' programs too")
    parser.add_argument("--verbose", action="store_true", help="print each action and what it took")
    options = parser.parse_args()
    own_mounts()
    print(f"seed {options.seed}, {options.seconds:g} s", flush=True)
    chaos = Chaos(options)
    try:
        chaos.run()
    except AssertionError as error:
        chaos.wrong.append(str(error))
    finally:
        chaos.daemons.end()
        if chaos.load:
            chaos.load.kill()
        if chaos.disk:
            chaos.disk.free()
        logs_of_faults = chaos.tend.daemon_log() if chaos.wrong else ""
        chaos.wrong += chaos.tend.close()
        if chaos.disk:
            chaos.disk.remove()
            subprocess.run(["rm", "-rf", chaos.tend.dir], check=False)
    print(f"{chaos.daemons.kills} daemons killed, {chaos.daemons.keeper_kills} of them keepers; {chaos.done}")
    if chaos.wrong:
        print("\n".join(chaos.wrong) + logs_of_faults, file=sys.stderr)
        print(f"again: chaos.py --seconds {options.seconds:g} --seed {options.seed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
