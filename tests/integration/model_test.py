"""A thousand random commands and accidents on real daemons, against a model of what must have come of each."""

import os
import random
import signal
import threading
import time
import unittest
from pathlib import Path

from harness import SCALE, TendTest, alive

COMMANDS = 1000 if SCALE == 1 else 240  # each takes a sanitizer's time
DAEMONS = 8
UNAVAILABLE = 3
SEED = int(os.environ.get("TEND_MODEL_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)

APPS = {
    "plain": {"script": "sleep", "args": "1000"},
    "once": {"script": "sleep", "args": "1001", "autorestart": False},
    "family": {"script": "family.sh"},
    "deaf": {"script": "deaf.sh", "kill_timeout": 150},
    "slow": {"script": "sleep", "args": "1002", "restart_delay": 50},
}
FAMILY = "#!/bin/sh\nsleep 1003 &\nsleep 1004 &\nwait\n"
DEAF = "#!/bin/sh\ntrap '' INT TERM\nwhile :; do sleep 1; done\n"


class Instance:
    """What is known of one: whether it must run, and between which numbers its restarts lie."""

    def __init__(self):
        self.online = True
        self.least = self.most = 0

    def counted(self, least=1, most=1):
        self.least += least
        self.most += most


class Model:
    """The apps as they must be: name -> id -> Instance."""

    def __init__(self):
        self.apps = {}

    def difference(self, records):
        found = {}
        for r in records:
            found.setdefault(r["name"], {})[r["pm_id"]] = r
        for name in {*found, *self.apps}:
            mine, theirs = self.apps.get(name, {}), found.get(name, {})
            if set(mine) != set(theirs):
                return f"{name}: ids {sorted(theirs)}, expected {sorted(mine)}"
            for number, instance in mine.items():
                env = theirs[number]["pm2_env"]
                status = "online" if instance.online else "stopped"
                if env["status"] != status:
                    return f"{name} ({number}): {env['status']}, expected {status}"
                if not instance.least <= env["restart_time"] <= instance.most:
                    return (f"{name} ({number}): {env['restart_time']} restarts, "
                            f"expected {instance.least}..{instance.most}")
                instance.least = instance.most = env["restart_time"]
        return None


class Drive:
    """One daemon, a stream of random deeds, and the model of it."""

    def __init__(self, tend, seed, commands):
        self.tend, self.dice, self.left = tend, random.Random(seed), commands
        self.seed = seed
        self.model = Model()
        self.story = []
        self.problem = None
        self.keeper = None
        tend.supervisor_may_die = True
        tend.script("family.sh", FAMILY)
        tend.script("deaf.sh", DEAF)
        tend.json_file("apps.json", {"apps": [
            {"name": name, "min_uptime": 0, **options} for name, options in APPS.items()]})

    # What a command means --------------------------------------------------------------------------------------

    def restarted(self, name, repeated):
        for instance in self.model.apps[name].values():
            if instance.online:
                instance.counted(1, 2 if repeated else 1)
            else:  # the first of the two may have started it
                instance.counted(0, 1 if repeated else 0)
            instance.online = True

    def stopped(self, name, _):
        for instance in self.model.apps[name].values():
            instance.online = False

    def deleted(self, name, _):
        del self.model.apps[name]

    def zeroed(self, name, _):
        for instance in self.model.apps[name].values():
            instance.least = instance.most = 0

    # Deeds -----------------------------------------------------------------------------------------------------

    def command(self, verb, name, meaning, *more, accident=False):
        """accident: the supervisor is killed at some moment of it."""
        self.story.append(" ".join((verb, name, *more)) + (" + supervisor killed" if accident else ""))
        if not accident:
            done = self.tend.run(verb, name, *more)
            repeated = False
        else:
            self.daemons()
            with self.tend.popen(verb, name, *more) as child:
                time.sleep(self.dice.random() * 0.04)
                self.end_supervisor()
                _, error = child.communicate(timeout=60)
            repeated = child.returncode != 0
            done = child
            if repeated:
                assert child.returncode == UNAVAILABLE, f"exit {child.returncode}: {error}"
                done = self.tend.run(verb, name, *more)
                if verb == "delete" and "not found" in done.stderr:
                    done.returncode = 0
        assert done.returncode == 0, f"exit {done.returncode}: {done.stderr}"
        meaning(name, repeated)

    def start(self, accident):
        name = self.dice.choice(list(APPS))
        if name in self.model.apps:
            return self.command("start", name, self.restarted, accident=accident)

        def begun(name, repeated):
            instance = Instance()
            instance.most = 1 if repeated else 0
            self.model.apps[name] = {self.only_id(name): instance}
        return self.command("start", "apps.json", lambda *_: begun(name, accident), "--only", name, accident=accident)

    def only_id(self, name):
        ids = [r["pm_id"] for r in self.tend.jlist() if r["name"] == name]
        assert len(ids) == 1, f"{name} has ids {ids}"
        return ids[0]

    def some(self):
        return self.dice.choice(list(self.model.apps)) if self.model.apps else None

    def scale(self, accident):
        name = self.some()
        if name is None:
            return
        count = self.dice.randrange(1, 4)

        def scaled(name, _):
            before = self.model.apps[name]
            ids = {r["pm_id"] for r in self.tend.jlist() if r["name"] == name}
            assert len(ids) == count, f"{name} has {sorted(ids)}, expected {count}"
            assert ids <= set(before) or ids >= set(before), f"{name} had {sorted(before)}, now {sorted(ids)}"
            self.model.apps[name] = {i: before.get(i) or Instance() for i in ids}
        self.command("scale", name, scaled, str(count), accident=accident)

    def verb(self, verb, meaning):
        def act(accident):
            name = self.some()
            if name is not None:
                self.command(verb, name, meaning, accident=accident)
        return act

    def victim(self):
        running = [(name, r) for r in self.tend.jlist() for name in [r["name"]] if r["pm2_env"]["status"] == "online"]
        return self.dice.choice(running) if running else None

    def kill_app(self, accident):
        found = self.victim()
        if found is None:
            return
        name, record = found
        self.story.append(f"SIGKILL to {name} ({record['pm_id']})" + (" + supervisor killed" if accident else ""))
        before = self.dice.random() < 0.5
        if accident and before:
            self.end_supervisor()
        os.kill(record["pid"], signal.SIGKILL)
        if accident and not before:
            self.end_supervisor()
        instance = self.model.apps[name][record["pm_id"]]
        if APPS[name].get("autorestart", True):
            instance.counted()
        else:
            instance.online = False

    def halt_app(self, accident):
        """One that stands still hears no signal: it is killed when its time is over."""
        found = self.victim()
        if found is None or APPS[found[0]].get("kill_timeout") is None:
            return
        name, record = found
        os.kill(record["pid"], signal.SIGSTOP)
        self.story.append(f"SIGSTOP to {name} ({record['pm_id']})")
        if self.dice.random() < 0.5:
            self.command("stop", name, self.stopped, accident=accident)
        else:
            self.command("restart", name, self.restarted, accident=accident)

    def kill_supervisor(self, _):
        self.story.append("supervisor killed")
        self.end_supervisor()

    # ------------------------------------------------------------------------------------------------------------

    def daemons(self):
        """(supervisor, keeper), read from the kernel: a look that costs no command."""
        if self.keeper is None:
            self.keeper = self.tend.pids()[1]
        return next((pid for pid in self.children() if self.is_supervisor(pid)), None), self.keeper

    def children(self):
        text = Path(f"/proc/{self.keeper}/task/{self.keeper}/children").read_text()
        return {int(pid) for pid in text.split() if alive(int(pid))}

    @staticmethod
    def is_supervisor(pid):
        try:
            return b"tend: supervisor" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    def end_supervisor(self):
        supervisor = self.daemons()[0]
        if supervisor is not None:  # else it died just now
            os.kill(supervisor, signal.SIGKILL)

    def strays(self, records):
        """Children of the keeper that are nobody's process."""
        supervisor, _ = self.daemons()
        return self.children() - {supervisor} - {r["pid"] for r in records}

    def agree(self):
        end = time.monotonic() + 10
        while True:
            records = self.tend.jlist()
            wrong = self.model.difference(records)
            strays = self.strays(records) if wrong is None else None
            if strays:
                wrong = f"processes that nobody knows: {strays}"
            if wrong is None or time.monotonic() > end:
                return wrong
            time.sleep(0.01)

    def run(self):
        deeds = [self.start, self.start, self.scale, self.kill_app, self.kill_app, self.halt_app, self.kill_supervisor,
                 self.verb("restart", self.restarted), self.verb("reload", self.restarted),
                 self.verb("stop", self.stopped), self.verb("stop", self.stopped), self.verb("delete", self.deleted),
                 self.verb("reset", self.zeroed)]
        try:
            while len(self.story) < self.left:
                # An accident makes numbers uncertain; most commands are to be exact.
                self.dice.choice(deeds)(self.dice.random() < 0.1)
                wrong = self.agree()
                assert wrong is None, wrong
        except Exception as error:  # told by the test's thread
            self.problem = (f"seed {self.seed}, deed {len(self.story)}: {error!r}\n  " + "\n  ".join(self.story[-12:]) +
                            self.tend.daemon_log())


class ModelTest(TendTest):
    def test_36_a_thousand_random_commands_end_as_the_model_says(self):
        print(f"seed {SEED} (TEND_MODEL_SEED)", flush=True)
        drives = [Drive(self.make_tend(), SEED + n, COMMANDS // DAEMONS) for n in range(DAEMONS)]
        threads = [threading.Thread(target=drive.run) for drive in drives]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([drive.problem for drive in drives if drive.problem], [])
        self.assertGreaterEqual(sum(len(drive.story) for drive in drives), COMMANDS)


if __name__ == "__main__":
    unittest.main(verbosity=2)
