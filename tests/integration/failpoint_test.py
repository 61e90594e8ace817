"""The supervisor is killed at each place where it changes what lasts: no app is started twice, none is lost, and the
command that was under way is done, or says that it may be repeated."""

import json
import os
import signal
import subprocess
import time
import unittest
from pathlib import Path

from cluster_test import get
from harness import BIN, SCALE, TendTest, alive, free_port, wait_for

POINTS = subprocess.run([BIN, "generate", "failpoints"], capture_output=True, text=True, check=False).stdout.split()
UNAVAILABLE = 3

SERVER = """const http = require('http');
http.createServer((q, r) => r.end(String(process.pid))).listen(JSON.parse(process.env.ADDRESS));
"""

JOURNALLED = ("start", "stop", "delete", "scale")
CHANGES = ("start", "restart", "stop", "delete", "scale")
SPAWNS = ("start", "restart", "scale", "crash")
# The beginning of a point's name, and what passes it.
PASSED_BY = {
    "journal.append.": JOURNALLED,
    "journal.rewrite.": ("first_start",),
    "slots.put.": CHANGES,
    "slots.erase.": ("delete",),
    "step.": (*CHANGES, "crash"),
    "spawn.": SPAWNS,
    "spawned.": ("start", "restart"),
    "spawn_failed.": ("fail",),
    "exited.": ("crash", "stop", "restart"),
    "ack.": ("crash", "stop"),
    "hold.": ("start",),
    "drop.": ("stop",),
    "signal.": ("restart", "stop", "delete"),
    "log.adopt.": ("start", "takeover"),
    "log.finished": ("crash", "stop"),
    "rollout.": ("reload",),
    "erase.": ("delete",),
    "dump.": ("save",),
    "request.": (*CHANGES, "save", "look"),
    "reply.": (*CHANGES, "save", "look"),
    "recover.": ("takeover",),
    "serving.": ("takeover",),
    "shutdown.": ("kill",),
}


def passed_by(point):
    return next((scenes for prefix, scenes in PASSED_BY.items() if point.startswith(prefix)), ())


class Failpoints(TendTest):
    def setUp(self):
        if not POINTS:
            self.skipTest("this program is built without TEND_FAILPOINTS")
        super().setUp()
        self.use(self.tend)

    def use(self, tend):
        self.tend = tend
        tend.supervisor_may_die = True
        self.armed = tend.dir / "failpoint"
        tend.env["TEND_FAILPOINT"] = str(self.armed)
        tend.json_file("five.json", {"apps": [
            {"name": f"a{n}", "script": "sleep", "args": "1000"} for n in range(5)]})

    def arm(self, point, passes=1, lives=1):
        fresh = self.armed.with_suffix(".new")
        fresh.write_text(f"{point} {passes} {lives}\n")
        fresh.rename(self.armed)

    def went_off(self):
        """Whether the point was passed; it is disarmed."""
        try:
            self.armed.unlink()
        except FileNotFoundError:
            return True
        return False

    def command(self, *words, repeat_may_say=()):
        """Runs it, and again if it says that it may be repeated; returns how often it ran."""
        done = self.tend.run(*words)
        if done.returncode == 0:
            return 1
        self.assertEqual(done.returncode, UNAVAILABLE, done.stderr)
        self.assertRegex(done.stderr, r"\Atend: the daemon ended while it worked on '\w+', which may or may not be done: "
                                      r"look with tend list, then run it again\n\Z")
        again = self.tend.run(*words)
        if again.returncode != 0:
            self.assertTrue(any(word in again.stderr for word in repeat_may_say), again.stderr)
        return 2

    def children(self):
        keeper = self.keeper
        return {int(pid) for pid in Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
                if alive(int(pid))}

    def settled(self, names):
        """Waits until those are online, and the keeper's children are their processes alone."""
        def look():
            supervisor, self.keeper = self.tend.pids()
            records = self.tend.jlist()
            self.seen = ([(r["name"], r["pid"], r["pm2_env"]["status"]) for r in records], self.children() - {supervisor})
            online = sorted(r["name"] for r in records if r["pm2_env"]["status"] == "online")
            pids = {r["pid"] for r in records if r["pid"]}
            return online == sorted(names) and self.children() - {supervisor} == pids and len(pids) == len(names)
        try:
            wait_for(look, 10, "one process of each app")
        except AssertionError as error:
            self.fail(f"{error}: {self.seen}{self.tend.daemon_log()}")

    def restarts(self, name):
        return self.tend.app(name)["pm2_env"]["restart_time"]

    # The scenes: each prepares, arms, acts, and looks at what became of it.

    def start(self, point, passes=1):
        self.arm(point, passes)
        self.command("start", "five.json")
        self.settled([f"a{n}" for n in range(5)])

    first_start = start

    def restart(self, point):
        before = self.restarts("a0")
        self.arm(point)
        runs = self.command("restart", "a0")
        self.settled([f"a{n}" for n in range(5)])
        self.assertIn(self.restarts("a0") - before, range(1, runs + 1))

    def stop(self, point):
        self.arm(point)
        self.assertEqual(self.command("stop", "a1"), 1, "stop is repeated by itself")
        self.settled(["a0", "a2", "a3", "a4"])

    def crash(self, point):
        before = self.restarts("a2")
        pid = self.tend.app("a2")["pid"]
        self.arm(point)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.restarts("a2") == before + 1, what="the restart")
        self.settled([f"a{n}" for n in range(5)])
        self.assertEqual(self.restarts("a2"), before + 1)

    def delete(self, point):
        self.arm(point)
        self.command("delete", "a3", repeat_may_say=["not found"])
        self.settled(["a0", "a1", "a2", "a4"])
        self.assertIsNone(self.tend.app("a3"))

    def scale(self, point):
        self.arm(point)
        self.command("scale", "a4", "3")
        self.settled(["a0", "a1", "a2", "a3", "a4", "a4", "a4"])

    def fail_(self, point):
        self.tend.script("broken", "#!/nowhere/interpreter\n")
        self.arm(point)
        done = self.tend.run("start", "broken", "--name", "broken", "--interpreter", "none")
        self.assertIn(done.returncode, (1, UNAVAILABLE), f"{done.stdout}{done.stderr}{self.tend.daemon_log()}")
        if done.returncode == UNAVAILABLE and self.tend.app("broken") is None:  # it was not noted yet
            self.assertEqual(self.tend.run("start", "broken", "--name", "broken", "--interpreter", "none").returncode, 1)
        self.tend.wait_status("broken", "errored")
        self.settled([f"a{n}" for n in range(5)])

    def save(self, point):
        dump = self.tend.home / "dump.json"
        self.tend.ok("save")
        before = json.loads(dump.read_text())
        self.arm(point)
        self.assertEqual(self.command("save"), 1, "save is repeated by itself")
        self.assertEqual(json.loads(dump.read_text()), before)

    def look(self, point):
        self.arm(point)
        self.assertEqual(len(self.tend.jlist()), 5)

    def takeover(self, point):
        before = [(r["pid"], r["pm2_env"]["restart_time"]) for r in self.tend.jlist()]
        self.arm(point)
        os.kill(self.tend.pids()[0], signal.SIGKILL)
        self.assertEqual([(r["pid"], r["pm2_env"]["restart_time"]) for r in self.tend.jlist()], before)

    def kill(self, point):
        keeper = self.tend.pids()[1]
        self.arm(point)
        self.assertEqual(self.command("kill"), 1, "kill is repeated by itself")
        self.assertFalse(alive(keeper))

    def reload(self, point, passes=1, listen=False):
        if self.tend.app("web") is None:
            self.need("node")
            self.port = free_port()
            self.tend.script("web.js", SERVER)
            mode = ["--listen", f"127.0.0.1:{self.port}"] if listen else ["-i", "1"]
            self.tend.ok("start", "web.js", "--name", "web", *mode,
                         env={"ADDRESS": '{"fd": 3}' if listen else f'{{"port": {self.port}, "host": "127.0.0.1"}}'})
        before = self.tend.app("web")
        self.arm(point, passes)
        runs = self.command("reload", "web")
        names = sorted({r["name"] for r in self.tend.jlist()})
        self.settled(names)
        after = self.tend.app("web")
        self.assertEqual(after["pm2_env"]["unstable_restarts"], 0)
        self.assertNotEqual(before["pid"], after["pid"])
        for _ in range(4):
            self.assertEqual(get(self.port), str(after["pid"]))
        return runs

    SCENES = {"fail": fail_}

    def walk(self, *scenes):
        """Each point that those scenes pass."""
        # A sanitizer takes its time: it sees each fourth.
        for point in POINTS if SCALE == 1 else POINTS[::4]:
            for scene in passed_by(point):
                if scene not in scenes:
                    continue
                with self.subTest(point=point, scene=scene):
                    if scene == "first_start":  # of a daemon, in a home of its own
                        self.use(self.make_tend())
                    else:
                        self.whole()
                    act = self.SCENES.get(scene) or getattr(type(self), scene)
                    act(self, point)
                    self.assertTrue(self.went_off(), f"{scene} does not pass {point}")

    def whole(self):
        """The five apps run, one of each, and nothing else."""
        self.went_off()
        present = {} if not self.tend.home.exists() else {
            (r["name"], r["pm2_env"]["status"]) for r in self.tend.jlist()}
        count = len(self.tend.jlist()) if present else 0
        if present == {(f"a{n}", "online") for n in range(5)} and count == 5:
            return
        self.tend.run("delete", "all")
        self.tend.ok("start", "five.json")

    def test_each_point_belongs_to_a_scene(self):
        self.assertEqual([p for p in POINTS if not passed_by(p)], [])

    def test_01_idle_kills_are_followed_at_once_by_one_who_knows_all(self):
        self.whole()
        before = [(r["name"], r["pid"], r["pm2_env"]["restart_time"]) for r in self.tend.jlist()]
        times = []
        for _ in range(20):
            supervisor = self.tend.pids()[0]
            began = time.monotonic()
            os.kill(supervisor, signal.SIGKILL)
            self.tend.pids()
            times.append(time.monotonic() - began)
            self.assertEqual([(r["name"], r["pid"], r["pm2_env"]["restart_time"]) for r in self.tend.jlist()], before)
        # Others use this machine too: the best tells what it can.
        self.assertLess(min(times), 0.1 * SCALE)

    def test_02_killed_while_it_starts_app_k_of_100(self):
        self.tend.json_file("many.json", {"apps": [
            {"name": f"m{n}", "script": "sleep", "args": "1000"} for n in range(100)]})
        for k in (1, 50, 100):
            with self.subTest(k=k):
                self.arm("spawn.requested", k)
                self.command("start", "many.json")
                self.assertTrue(self.went_off())
                self.settled([f"m{n}" for n in range(100)])
                self.tend.ok("delete", "all")

    def test_03_between_spawn_and_journal(self):
        self.walk("start", "first_start", "scale", "fail")

    def test_04_in_every_state_of_a_reload(self):
        self.whole()
        self.reload("rollout.before")
        for passes in range(1, 40):
            with self.subTest(passes=passes):
                self.reload("step.noted", passes)
                if not self.went_off():
                    break
        self.assertGreater(passes, 4)
        self.walk("reload")

    def test_04_in_every_state_of_a_reload_of_who_was_given_its_socket(self):
        self.whole()
        for point in ("step.noted", "step.acted", "journal.append.before"):
            for passes in range(1, 40):
                with self.subTest(point=point, passes=passes):
                    self.reload(point, passes, listen=True)
                    if not self.went_off():
                        break
            self.assertGreater(passes, 2)

    def test_a_spare_that_takes_over_is_known_as_who_serves(self):
        self.need("node")
        port = free_port()
        self.tend.script("web.js", SERVER)
        for point in ("step.acted", "journal.append.before"):
            with self.subTest(point=point):
                self.tend.ok("start", "web.js", "--name", "web", "-i", "1", "--spare", "1",
                             env={"ADDRESS": f'{{"port": {port}}}'})
                seen = lambda: {r["pid"]: r["pm2_env"]["status"] for r in self.tend.jlist() if r["pid"]}
                wait_for(lambda: sorted(seen().values()) == ["online", "standby"], what="a spare")
                first = next(pid for pid, status in seen().items() if status == "online")
                spare = next(pid for pid, status in seen().items() if status == "standby")
                wait_for(lambda: self.answers(port) == str(first), what="an answer")
                time.sleep(0.5 * SCALE)  # it has asked for its sockets
                self.arm(point)
                os.kill(first, signal.SIGKILL)
                wait_for(self.went_off, what="the supervisor's end")
                wait_for(lambda: seen().get(spare) == "online" and len(seen()) == 2, what="the spare as who serves")
                wait_for(lambda: sorted(seen().values()) == ["online", "standby"], what="another spare")
                self.assertEqual({get(port) for _ in range(8)}, {str(spare)})
                self.tend.ok("delete", "web")

    def answers(self, port):
        try:
            return get(port)
        except OSError:
            return None

    def test_commands_killed_at_each_point(self):
        self.walk("restart", "stop", "delete")

    def test_exits_killed_at_each_point(self):
        self.walk("crash")

    def test_answers_saves_and_take_overs_killed_at_each_point(self):
        self.walk("save", "look", "takeover")

    def test_the_end_killed_at_each_point(self):
        self.walk("kill")

    def test_07_the_daemons_are_the_last_that_the_kernel_picks(self):
        self.need_root()
        try:
            own = Path("/proc/self/oom_score_adj")
            before = own.read_text()
            own.write_text("-900")
            own.write_text(before)
        except OSError as error:
            self.skipTest(f"this machine lowers no oom_score_adj: {error}")
        self.whole()
        for pid in self.tend.pids():
            self.assertEqual(Path(f"/proc/{pid}/oom_score_adj").read_text().strip(), "-900")
        app = self.tend.app("a0")["pid"]
        self.assertEqual(Path(f"/proc/{app}/oom_score_adj").read_text(), Path("/proc/self/oom_score_adj").read_text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
