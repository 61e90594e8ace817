"""tend-runtime and --no-daemon: the apps, their daemon and their output belong to one command, as in a container."""

import json
import os
import signal
import subprocess
import time
import unittest
from pathlib import Path

from harness import BIN, TendTest, limit, processes_naming, wait_for

SERVER = """#!/usr/bin/env python3
import signal, sys, time
def leave(*_):
    print("bye", flush=True)
    sys.exit(5)
signal.signal(signal.SIGINT, leave)
signal.signal(signal.SIGHUP, lambda *_: print("hup", flush=True))
print("up", flush=True)
while True:
    time.sleep(10)
"""
# Its grandchild leaves the tree of its parents, as a daemon does, and then becomes a zombie that PID 1 must reap.
FORKER = """#!/usr/bin/env python3
import os, time
for _ in range(1000):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(0.2)
        os._exit(0)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
print("forked", flush=True)
time.sleep(1000)
"""


class Foreground(TendTest):
    def runtime(self, *words, prefix=(), **kwargs):
        self.tend.prefix = list(prefix)
        with open(self.tend.work / "o", "w") as out, open(self.tend.work / "e", "w") as err:
            child = self.tend.popen("runtime", *words, stdout=out, stderr=err, **kwargs)
        self.tend.prefix = []
        self.addCleanup(child.kill)
        return child

    def ends(self, child, timeout=20):
        try:
            return child.wait(limit(timeout))
        except subprocess.TimeoutExpired:
            self.fail(f"no end\n{self.tend.read('o')}{self.tend.read('e')}{self.tend.daemon_log()}")

    def nothing_left(self):
        wait_for(lambda: not processes_naming(str(self.tend.dir)), 10, "nothing left behind")


class RuntimeTest(Foreground):
    def test_the_status_and_every_byte_of_an_app_that_ends_are_its_own(self):
        self.tend.script("one.sh", "#!/bin/sh\nseq 20000\necho err >&2\nprintf last\nexit 7\n")
        began = time.monotonic()
        self.assertEqual(self.ends(self.runtime("start", "one.sh", "--no-autorestart")), 7)
        self.assertLess(time.monotonic() - began, limit(5))
        self.assertEqual(self.tend.read("o"), "".join(f"{i}\n" for i in range(1, 20001)) + "last")
        self.assertEqual(self.tend.read("e"), "err\n")
        self.assertEqual(list((self.tend.home / "logs").glob("*")), [])
        self.nothing_left()

    def test_without_an_app_it_says_how_it_is_called_and_has_failed(self):
        self.assertEqual(self.ends(self.runtime()), 2)
        self.assertIn("usage: tend-runtime [start] <script|file>", self.tend.read("o"))

    def test_an_app_that_a_signal_ended_gives_128_and_the_signal(self):
        self.tend.script("die.sh", "#!/bin/sh\nkill -9 $$\n")
        self.assertEqual(self.ends(self.runtime("die.sh", "--no-autorestart")), 137)

    def test_an_errored_app_ends_it_without_waiting_for_somebody_to_start_it(self):
        self.tend.script("bad.sh", "#!/bin/sh\nexit 3\n")
        began = time.monotonic()
        self.assertEqual(self.ends(self.runtime("bad.sh")), 3)
        self.assertLess(time.monotonic() - began, limit(5))

    def test_signals_reach_the_app_and_term_ends_it_in_its_own_time(self):
        self.tend.script("server.py", SERVER)
        child = self.runtime("server.py")
        self.tend.wait_text("o", "up\n")
        self.assertEqual(self.tend.status("server"), "online")  # the command line controls it as ever
        child.send_signal(signal.SIGHUP)
        self.tend.wait_text("o", "hup\n")
        child.terminate()
        self.assertEqual(self.ends(child), 5)
        self.assertEqual(self.tend.read("o"), "up\nhup\nbye\n")
        self.nothing_left()

    def test_its_sudden_death_takes_the_apps_along(self):
        self.tend.script("server.py", SERVER)
        child = self.runtime("server.py")
        self.tend.wait_text("o", "up\n")
        child.kill()
        child.wait()
        self.nothing_left()
        self.assertIn("bye", self.tend.read("o"))

    def test_the_death_of_both_daemons_takes_the_apps_along(self):
        self.tend.script("server.py", SERVER)
        child = self.runtime("server.py")
        self.tend.wait_text("o", "up\n")
        supervisor, keeper = self.tend.pids()
        os.kill(supervisor, signal.SIGSTOP)  # it cannot notice the keeper's end before its own
        os.kill(keeper, signal.SIGKILL)
        os.kill(supervisor, signal.SIGKILL)
        self.assertEqual(self.ends(child), 1)
        self.nothing_left()

    def test_a_keeper_that_is_lost_is_replaced_twice_and_ends_with_the_runtime(self):
        self.tend.script("server.py", SERVER)
        child = self.runtime("server.py")
        self.tend.wait_text("o", "up\n")
        for _ in range(2):
            keeper = self.tend.pids()[1]
            os.kill(keeper, signal.SIGKILL)
            wait_for(lambda: self.tend.pids()[1] != keeper)
        child.send_signal(signal.SIGHUP)
        self.tend.wait_text("o", "hup\n")
        child.kill()
        child.wait()
        self.nothing_left()
        self.assertEqual(self.tend.read("o"), "up\nhup\nbye\n")

    def test_a_supervisor_that_is_replaced_changes_nothing(self):
        self.tend.script("server.py", SERVER)
        child = self.runtime("server.py")
        self.tend.wait_text("o", "up\n")
        supervisor, _ = self.tend.pids()
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: self.tend.pids()[0] != supervisor)
        child.send_signal(signal.SIGHUP)
        self.tend.wait_text("o", "hup\n")
        child.terminate()
        self.assertEqual(self.ends(child), 5)
        self.assertEqual(self.tend.read("o"), "up\nhup\nbye\n")

    def test_json_lines_name_their_app(self):
        self.tend.script("one.sh", "#!/bin/sh\necho out\necho err >&2\nprintf last\n")
        self.assertEqual(self.ends(self.runtime("one.sh", "--no-autorestart", "--json")), 0)
        lines = [json.loads(line) for line in self.tend.read("o").splitlines()]
        self.assertEqual({(x["message"], x["type"], x["app_name"], x["process_id"]) for x in lines},
                         {("out", "out", "one", 0), ("err", "err", "one", 0), ("last", "out", "one", 0)})
        self.assertEqual(self.tend.read("e"), "")

    def test_formatted_lines_and_a_file_beside(self):
        self.tend.script("one.sh", "#!/bin/sh\necho out\n")
        self.assertEqual(self.ends(self.runtime("one.sh", "--no-autorestart", "--formatted")), 0)
        self.assertEqual(self.tend.read("o"), "0|one  | out\n")
        self.assertEqual(self.ends(self.runtime("one.sh", "--no-autorestart", "--merge-logs", "--output", "f.log")), 0)
        self.assertEqual((self.tend.read("o"), self.tend.read("f.log")), ("out\n", "out\n"))

    def test_a_reader_that_takes_nothing_holds_up_the_app_and_nothing_else(self):
        self.tend.script("much.sh", "#!/bin/sh\nseq 200000\necho done >&2\n")
        with open(self.tend.work / "e", "w") as err:
            child = self.tend.popen("runtime", "much.sh", "--no-autorestart", stderr=err)
        self.addCleanup(child.kill)
        self.tend.wait_status("much", "online")
        time.sleep(1.5)
        self.assertEqual(self.tend.status("much"), "online")
        self.assertEqual(self.tend.read("e"), "")
        self.assertEqual(child.communicate(timeout=limit(20))[0], "".join(f"{i}\n" for i in range(1, 200001)))
        self.assertEqual(child.returncode, 0)

    def test_what_cannot_start_and_a_home_that_is_taken_are_failures(self):
        self.assertEqual(self.ends(self.runtime("nothere.js")), 1)
        self.assertIn("nothere.js", self.tend.read("e"))
        self.tend.ok("start", self.tend.sleeper())
        self.assertEqual(self.ends(self.runtime("sleeper.sh")), 1)
        self.assertIn("a daemon runs in", self.tend.read("e"))
        self.assertEqual(self.tend.status("sleeper"), "online")

    def test_a_file_of_apps_ends_with_the_last_of_them(self):
        self.tend.script("ok.sh", "#!/bin/sh\nsleep 0.3\necho slow\n")
        self.tend.script("bad.sh", "#!/bin/sh\nexit 4\n")
        self.tend.json_file("apps.json", {"apps": [
            {"name": "ok", "script": "./ok.sh", "autorestart": False},
            {"name": "bad", "script": "./bad.sh", "autorestart": False}]})
        self.assertEqual(self.ends(self.runtime("apps.json")), 1)
        self.assertEqual(self.tend.read("o"), "slow\n")

    def test_under_pm2s_name_term_is_success(self):
        link = self.tend.bin / "pm2-runtime"
        link.symlink_to(BIN)
        self.tend.script("server.py", SERVER)
        with open(self.tend.work / "o", "w") as out:
            child = subprocess.Popen([link, "start", "server.py"], cwd=self.tend.work, stdout=out,
                                     env={**self.tend.env, "PM2_HOME": str(self.tend.home)})
        self.tend.wait_text("o", "up\n")
        child.terminate()
        self.assertEqual(self.ends(child), 0)
        self.nothing_left()


class ContainerTest(Foreground):
    """As PID 1 of its own process namespace."""

    def setUp(self):
        super().setUp()
        self.inside = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
        if os.geteuid() != 0:
            self.inside[1:1] = ["--user", "--map-root-user"]
        if subprocess.run([*self.inside, "true"], stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("no process namespaces here")

    def contained(self, *words):
        child = self.runtime(*words, prefix=self.inside)
        first = wait_for(lambda: Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split(), 10, "PID 1")
        return child, int(first[0])

    def test_term_ends_the_container_with_the_apps_status(self):
        self.tend.script("server.py", SERVER)
        child, first = self.contained("server.py")
        self.tend.wait_text("o", "up\n")
        began = time.monotonic()
        os.kill(first, signal.SIGTERM)
        self.assertEqual(self.ends(child), 5)
        self.assertLess(time.monotonic() - began, limit(3))
        self.assertEqual(self.tend.read("o"), "up\nbye\n")

    def test_25_orphans_are_reaped(self):
        self.tend.script("forker.py", FORKER)
        child, first = self.contained("forker.py")
        self.tend.wait_text("o", "forked\n")
        inside = os.readlink(f"/proc/{first}/ns/pid")

        def members():
            states = []
            for entry in os.listdir("/proc"):
                try:
                    if entry.isdigit() and os.readlink(f"/proc/{entry}/ns/pid") == inside:
                        states.append(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[0])
                except OSError:
                    continue
            return states

        # Runtime, keeper, supervisor, app; a zombie's namespace link is gone, so it is counted by its parent below.
        wait_for(lambda: len(members()) == 4, 10, "only the four that belong there")
        parents = [line.split() for line in subprocess.run(
            ["ps", "-eo", "ppid,stat"], capture_output=True, text=True).stdout.splitlines()[1:]]
        self.assertEqual([p for p in parents if int(p[0]) == first and p[1].startswith("Z")], [])
        os.kill(first, signal.SIGTERM)
        self.assertEqual(self.ends(child), 130)  # by SIGINT, for which it has no handler

    def test_a_container_that_was_killed_starts_anew_in_the_same_home(self):
        self.tend.script("server.py", SERVER)
        child, first = self.contained("server.py")
        self.tend.wait_text("o", "up\n")
        os.kill(first, signal.SIGKILL)
        self.ends(child)
        child, first = self.contained("server.py")
        self.tend.wait_text("o", "up\n")
        time.sleep(0.5)
        self.assertEqual(self.tend.read("o"), "up\n")  # once
        os.kill(first, signal.SIGTERM)
        self.assertEqual(self.ends(child), 5)


class NoDaemonTest(Foreground):
    def test_the_apps_end_with_the_command_and_their_lines_are_shown(self):
        self.tend.script("server.py", SERVER)
        with open(self.tend.work / "o", "w") as out:
            child = self.tend.popen("start", "server.py", "--no-daemon", stdout=out)
        self.addCleanup(child.kill)
        self.tend.wait_text("o", "| up\n")
        child.send_signal(signal.SIGINT)
        self.assertEqual(self.ends(child), 5)
        self.assertRegex(self.tend.read("o"), r"(?m)^\d\d:\d\d:\d\d 0\|server  \| up$")
        self.assertRegex(self.tend.read("o"), r"(?m)^\d\d:\d\d:\d\d 0\|server  \| bye$")
        self.nothing_left()

    def test_the_dump_of_the_user_stays(self):
        self.tend.ok("start", self.tend.sleeper())
        self.tend.ok("save")
        self.tend.ok("kill")
        before = self.tend.read(self.tend.home / "dump.json")
        self.tend.script("one.sh", "#!/bin/sh\necho out\nsleep 0.2\n")
        done = self.tend.run("start", "one.sh", "--no-daemon", "--no-autorestart")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(self.tend.read(self.tend.home / "dump.json"), before)
        self.tend._first_supervisor = None

    def test_attach_follows_what_was_started(self):
        self.tend.script("server.py", SERVER)
        with open(self.tend.work / "o", "w") as out:
            child = self.tend.popen("start", "server.py", "--attach", stdout=out)
        self.addCleanup(child.kill)
        self.tend.wait_text("o", "| up\n")
        child.send_signal(signal.SIGINT)
        self.ends(child)
        self.assertEqual(self.tend.status("server"), "online")


if __name__ == "__main__":
    unittest.main()
